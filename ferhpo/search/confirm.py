"""`--confirm K --seeds S`: the best K configurations, trained again to the end with S seeds each.

The best of many trials is in part the luckiest: its value is the largest of noisy ones. So the best few are trained
again, all with the same seeds, and told by mean and spread. What is queued stands in the study (`study.repeats`), so a
confirmation that was cut off goes on, and one that is asked for again trains only what is missing.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass

from ferhpo._seeding import derive
from ferhpo.errors import StudyError, UsageError
from ferhpo.search.budget import Limits, check_count
from ferhpo.search.events import Emit, Note
from ferhpo.search.schedulers.asha import Halving
from ferhpo.search.under_way import Assignment, Record, UnderWay
from ferhpo.space.config import TrialConfig
from ferhpo.study.attrs import REPEATS
from ferhpo.study.trial import Trial
from ferhpo.study.writer import StudyWriter

SEEDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """What to train again.

    Args:
        best: how many of the best configurations.
        seeds: trainings of each.
    """

    best: int
    seeds: int


def confirm_of(best: int | None, seeds: int | None) -> Confirm | None:
    """Return what ``--confirm`` and ``--seeds`` ask for, None without the first.

    Raises:
        UsageError: one is no number above 0, or there are seeds and nothing to confirm.
    """
    check_count("--confirm", best)
    check_count("--seeds", seeds)
    if best is None and seeds is not None:
        msg = f"--seeds says with how many seeds --confirm trains, got {seeds} without it; add --confirm K"
        raise UsageError(msg)
    return None if best is None else Confirm(best=best, seeds=seeds or SEEDS)


def configurations(ranked: Sequence[Trial], repeated: Container[int]) -> list[int]:
    """Return the number of one trial for each configuration, the best first.

    Args:
        ranked: trials, best first.
        repeated: numbers of trials that have been trained again: of several of one configuration such a one is taken.
    """
    found: dict[TrialConfig | None, int] = {}
    for trial in ranked:
        configuration = None if trial.config is None else trial.config.with_params({"seed": 0})
        if configuration not in found or (trial.number in repeated and found[configuration] not in repeated):
            found[configuration] = trial.number
    return list(found.values())


class Confirmation(UnderWay):
    """Trains the repeats that wait, each to its end: nothing is sampled, nothing is stopped.

    Args:
        writer: the study, open for writing and settled.
        wanted: what to train again; what is missing of it is queued.
        limits: of the search; here only the failures in a row count.
        emit: called with every event.

    Raises:
        StudyError: no trial has ended with a value.
    """

    def __init__(self, writer: StudyWriter, wanted: Confirm, limits: Limits, *, emit: Emit) -> None:
        super().__init__(writer, Limits(trials=0, max_failures=limits.max_failures), emit=emit)
        self._rule = Halving(at=(), reduction=2, maximize=self._metric.maximize)
        self._constraints = ()  # the trial that is repeated kept them
        spec, found = writer.spec, writer.reader.trials()
        ended = [t for t in writer.reader.ranking(found) if t.value is not None and t.config is not None]
        ranked = [t for t in ended if t.copied_from is None]  # no one configuration gives a copy's value
        if not ranked:
            msg = "--confirm trains the best trials again, and none has ended with a value; search first"
            raise StudyError(msg)
        sources = configurations(ranked, {t.attrs[REPEATS] for t in writer.reader.every() if t.repeats})[: wanted.best]
        self._wanted = sources, [derive(spec.seed, "confirm", i) for i in range(wanted.seeds)]
        writer.queue_repeats(*self._wanted)
        if self.left:
            which = ", ".join(map(str, sources))
            text = f"confirming trials {which} with {wanted.seeds} seeds: {self.left} trainings are left"
            emit(Note(text=text))

    @property
    def left(self) -> int:
        """Count the repeats that are still to end."""
        return len(self.writer.waiting_repeats(*self._wanted)) + len(self.running)

    @property
    def over(self) -> bool:
        """Tell whether nothing runs and nothing more is to start."""
        return not self.running and (self.stopping is not None or not self.left)

    def next_trial(self) -> Assignment | None:
        """Return the next repeat, those that go on first."""
        waiting = {} if self.stopping else self.writer.waiting_repeats(*self._wanted)
        if not waiting:
            return None
        number = min(waiting, key=lambda n: (not waiting[n], n))
        if not waiting[number]:
            self._clear(number)
        config, params, source = self.writer.begin_repeat(number)
        return self._begun(Assignment(number=number, config=config, epoch=waiting[number]), params, repeats=source)

    def _failed(self, number: int, record: Record) -> None:
        """Fail a repeat; one whose state is damaged is queued again."""
        super()._failed(number, record)
        if record.get("cannot_go_on"):
            self.writer.queue_repeats(*self._wanted)
