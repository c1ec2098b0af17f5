"""`UnderWay`: trials that have begun: what their workers report, which goes on, and what becomes of each.

Ray's adapters (`searcher.py`) pass every question on to it. It writes the answers into the study and emits an event for
each. Which trial begins is for those that build on it to say: `Session` and `Confirmation`.
"""

import shutil
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ferhpo import _layout
from ferhpo.metrics import metric
from ferhpo.search.anytime import RunningEnsemble
from ferhpo.search.budget import AFTER, Budget, Limits
from ferhpo.search.events import Emit, EpochEnded, Note, TrialBegan, TrialEnded
from ferhpo.search.recovery import UNJUDGED, last_record, settle_one
from ferhpo.search.scheduler import rebuilt
from ferhpo.search.schedulers.rivals import Rivals
from ferhpo.space.aims import broken
from ferhpo.space.config import TrialConfig
from ferhpo.study.artifacts import drop_state, keep_best
from ferhpo.study.attrs import COSTS
from ferhpo.study.quantities import known
from ferhpo.study.writer import StudyWriter

Record = Mapping[str, Any]
LOST = "lost_at"  # attribute of a trial: epochs that were behind it when its worker died


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A trial for a worker; ``epoch`` epochs are behind it."""

    number: int
    config: TrialConfig
    epoch: int


class UnderWay(ABC):
    """The trials of one run that have begun.

    Args:
        writer: the study, open for writing and settled.
        limits: once one is reached no trial starts and running ones end at their next epoch.
        emit: called with every event.
        clock: seconds, monotonic.
    """

    def __init__(
        self, writer: StudyWriter, limits: Limits, *, emit: Emit, clock: Callable[[], float] = time.monotonic
    ) -> None:
        spec = writer.spec
        self.writer, self.limits, self.emit = writer, limits, emit
        self.stopping: str | None = None  # why it ends before its total
        self.gave_up = False  # too many failures in a row
        self.cut_off: str | None = None  # what a worker's disk said, which ended it
        self.running: dict[int, Assignment] = {}
        self._metric, self._constraints = metric(spec.metric), spec.constraints
        self._failures = 0
        self._ensemble = RunningEnsemble.of(writer.reader)
        found = writer.reader.trials()
        self._budget = Budget.of(found, limits, self._metric, clock)
        self._rivals = Rivals.of_study(spec)
        self._rule = rebuilt(spec, found, self._rivals)

    @property
    @abstractmethod
    def left(self) -> int:
        """Count the trials that are still to end."""

    @property
    @abstractmethod
    def over(self) -> bool:
        """Tell whether nothing runs and nothing more is to start."""

    @abstractmethod
    def next_trial(self) -> Assignment | None:
        """Return the next trial to run, None if none is to start now (see `over`)."""

    @property
    def ensemble(self) -> tuple[int, float] | None:
        """The running ensemble, see `RunningEnsemble.worth`."""
        return self._ensemble.worth

    def epoch(self, number: int, record: Record) -> bool:
        """Take what a worker reported after an epoch and tell whether the trial goes on.

        Args:
            number: the trial's.
            record: see `work.TrialWork.next`: an epoch's figures, what the net costs, or an ``error``.
        """
        if "disk" in record:
            self.cut_off = record["disk"]
            self.stop(f"trial {number} could not go on ({record['error']}): {AFTER}")
            self.hand_back(number)
            return False
        if record.get("error"):
            self._failed(number, record)
            return False
        if "epoch" not in record:
            return self._affordable(number, record["costs"])
        value, epochs = record["value"], self._epochs(self.running[number])
        self.writer.report(number, record["epoch"], value, record["history"])
        self._budget.epoch(record["history"]["seconds"])
        self.emit(
            EpochEnded(
                number=number, epoch=record["epoch"], epochs=epochs, value=value, seconds=record["history"]["seconds"]
            )
        )
        return self._goes_on(number, record)

    def lost(self, number: int, reason: str) -> None:
        """Take note that a worker died under a trial: it goes on once, and fails if no epoch comes of that.

        A node that dies takes many trials with it, none of which did anything wrong. One that has ended already is left
        as it is.
        """
        if number not in self.running:
            return
        record = last_record(self.writer.folder, number)
        if record is not None and record["epoch"] not in self.writer.values(number):
            self.emit(Note(text=f"trial {number}: {reason}; it had saved epoch {record['epoch']}"))
            if not self.epoch(number, record):
                return  # it was the last epoch, or one after which the trial stops
        behind = max(self.writer.values(number), default=0)
        if self.writer.marks(number).get(LOST) == behind:
            self._failed(number, {"error": reason})
            return
        if behind and record is None:
            self._failed(number, {"error": f"{reason}, and its files are gone", "cannot_go_on": True})
            return
        self.writer.mark(number, {LOST: behind})
        del self.running[number]
        self.emit(TrialEnded(number=number, state="WAITING", value=None, error=reason))
        note = settle_one(self.writer, number, self.writer.values(number), judged=True)
        if note:
            self.emit(Note(text=note))

    def hand_back(self, number: int, state: str = "WAITING", *, judged: bool = True) -> None:
        """Let a running trial wait, values and state kept: for the next run, or PAUSED for a promotion in this one.

        Args:
            number: the trial's.
            state: as it is told.
            judged: False where the search was cut off: perhaps after an epoch was stored and before it was judged.
        """
        del self.running[number]
        values = {} if judged else self.writer.values(number)
        self.writer.hand_back(number, {UNJUDGED: max(values)} if values else {})
        self.emit(TrialEnded(number=number, state=state, value=None))

    def stop(self, reason: str) -> None:
        """Start no further trial and end running ones at their next epoch."""
        if self.stopping is None:
            self.stopping = reason
            self.emit(Note(text=reason))

    def ends(self) -> bool:
        """Tell whether the search ends before its total: no trial starts, and running ones end at their next epoch."""
        if self.stopping is None:
            reason = self._budget.reason(lambda: self.left)
            if reason is not None:
                self.stop(reason)
        return self.stopping is not None

    def _begun(self, assignment: Assignment, params: Mapping[str, Any], **more: Any) -> Assignment:
        """Take note that a trial begins or goes on."""
        number, epochs = assignment.number, self._epochs(assignment)
        self.running[number] = assignment
        self.emit(TrialBegan(number=number, params=params, epoch=assignment.epoch, epochs=epochs, **more))
        return assignment

    def _epochs(self, assignment: Assignment) -> int | None:
        """Return the epochs of a whole trial, None where a time ends it."""
        return None if self.writer.spec.budget.trial_time else assignment.config.epochs

    def _clear(self, number: int) -> None:
        """Delete a folder under the number of a trial that is to begin: of a deleted study, or a start that failed.

        Before the trial begins: after a kill in between, recovery would take the files for its own.
        """
        shutil.rmtree(_layout.trial_folder(self.writer.folder, number), ignore_errors=True)

    def _goes_on(self, number: int, record: Record) -> bool:
        """Tell whether a trial goes on after an epoch that is stored; if not, end it or let it wait."""
        found = known(record["attrs"])
        if record["attrs"].get(COSTS, {}).get("memory_mib"):  # the rest was marked before the first epoch
            self.writer.mark(number, {COSTS: record["attrs"][COSTS]})
        self._rivals.take(number, record["epoch"], [found[name] for name in self._rivals.names])
        if record["finished"]:
            self._end(number, "COMPLETE", record)
        elif self._broken(found, whole=False):
            self._rule.forget(number)
            self._end(number, "PRUNED", record)
        elif not self._rule.goes_on(number, record["epoch"], record["value"]):
            self._held(number, record)
        elif self.ends() or not self._budget.room(len(self.running) - 1):
            self.hand_back(number)
        else:
            return True
        return False

    def _affordable(self, number: int, costs: Mapping[str, float]) -> bool:
        """Take note of what a trial's net costs, before its first epoch; end the trial if that breaks a constraint."""
        self.writer.mark(number, {COSTS: dict(costs)})
        reason = self._broken(costs, whole=False)
        if reason is None:
            return True
        self.running.pop(number)
        self._failures = 0
        self.writer.finish(number, "PRUNED", None, {COSTS: dict(costs)})
        self.emit(TrialEnded(number=number, state="PRUNED", value=None, broken=reason))
        return False

    def _broken(self, found: Mapping[str, float], *, whole: bool) -> str | None:
        """Return what a trial breaks of the study's constraints, see `aims.broken`."""
        return broken(self._constraints, found, whole=whole)

    def _held(self, number: int, record: Record) -> None:
        """Pause or end a trial that does not go on."""
        if self._rule.pauses:
            self._failures = 0
            self.hand_back(number, "PAUSED")
            self._give_up(self._rule.give_up(self.writer.waiting()))
        else:
            self._end(number, "PRUNED", record)

    def _give_up(self, waiting: Iterable[int]) -> None:
        """End paused trials that are not promoted any more."""
        for number in waiting:
            record = last_record(self.writer.folder, number)
            if record is None:
                reason = "it waited to be promoted, and its files are gone"
                self._failed(number, {"error": reason})
            else:
                self._end(number, "PRUNED", record)

    def _end(self, number: int, state: str, record: Record) -> None:
        self._failures = 0
        self.running.pop(number, None)
        self.writer.finish(number, state, record["value"], record["attrs"])
        spec, found = self.writer.spec, known(record["attrs"])
        reason = self._broken(found, whole=True)  # of a trial that was stopped early too: it is taken as it is
        if reason is None:
            self._budget.values.append(record["value"])
        drop_state(self.writer.folder / record["attrs"]["checkpoint"])
        several = {name: found[name] for name in spec.objectives} if self._rivals.names else {}
        self.emit(TrialEnded(number=number, state=state, value=record["value"], objectives=several, broken=reason))
        self._tidy()

    def _tidy(self) -> None:
        """Bring the running ensemble up to date; delete the files that neither it nor the best trials need."""
        reader = self.writer.reader
        found = reader.every()
        self._ensemble.follow(self.writer, found, self.emit)
        keep_best(reader, also={*self.running, *self._ensemble.members}, found=found)

    def _failed(self, number: int, record: Record) -> None:
        self.running.pop(number, None)
        self._rule.forget(number)
        if record.get("cannot_go_on"):
            self.writer.requeue(number, record["error"])
            self.emit(TrialEnded(number=number, state="QUEUED AGAIN", value=None, error=record["error"]))
            return
        self.writer.finish(number, "FAIL", None, {"error": record["error"], "host": socket.gethostname()})
        self.emit(TrialEnded(number=number, state="FAIL", value=None, error=record["error"]))
        self._tidy()
        self._failures += 1
        if self._failures >= self.limits.max_failures:
            self.gave_up = True
            self.stop(
                f"{self._failures} trials in a row failed, so the search gives up; the last error: {record['error']}"
            )
