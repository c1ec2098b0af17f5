"""Repeats: trials that train the best configurations again with other seeds, so that the winner is not the luckiest.

A repeat is a trial of the study's database with the attribute `REPEATS`. It is none of the search's trials: it does not
count, is never best, and no sampler sees it; its net may join an ensemble.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from ferhpo.study.attrs import REPEATED, REPEATS, SEED

if TYPE_CHECKING:
    from ferhpo.study.trial import Trial

LEVEL = 0.95  # of the test that tells two configurations apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A configuration that was trained again.

    Args:
        number: of the trial that the search found.
        searched: its value then, None if it is gone.
        values: the metric after the whole budget, by seed.
        trials: numbers of the repeats that ended with a value, in the order of ``values``.
        tied: the winner's values are not told apart from these (paired by seed, t-test at LEVEL).
    """

    number: int
    searched: float | None
    values: dict[int, float]
    trials: tuple[int, ...]
    tied: bool = False

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return fmean(self.values.values())

    @property
    def std(self) -> float | None:
        """Standard deviation over seeds (n - 1), None of one seed."""
        return stdev(self.values.values()) if len(self.values) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """Return what ``--format json`` prints."""
        return {
            "number": self.number,
            "searched": self.searched,
            "mean": self.mean,
            "std": self.std,
            "seeds": len(self.values),
            "values": list(self.values.values()),
            "trials": list(self.trials),
            "tied": self.tied,
        }


def is_repeat(trial: FrozenTrial) -> bool:
    """Tell a repeat from a trial of the search."""
    return REPEATS in trial.user_attrs


def confirmed(trials: Sequence["Trial"], *, maximize: bool) -> list[Confirmed]:
    """Return the configurations that were trained again and what came of it, best mean first.

    Args:
        trials: the study's, repeats among them.
        maximize: more of the metric is better.
    """
    values: dict[int, dict[int, Trial]] = {}
    for trial in trials:
        if trial.repeats and trial.state == "COMPLETE":
            values.setdefault(trial.attrs[REPEATS], {})[trial.attrs[SEED]] = trial
    sources = {t.number: t for t in trials if t.number in values}
    found = [
        Confirmed(
            number=number,
            searched=sources[number].value,
            values={seed: t.value for seed, t in by_seed.items() if t.value is not None},
            trials=tuple(t.number for t in by_seed.values()),
        )
        for number, by_seed in values.items()
    ]
    found.sort(key=lambda c: (-c.mean if maximize else c.mean, c.number))
    return [replace(c, tied=c is not found[0] and not told_apart(found[0].values, c.values)) for c in found]


def told_apart(a: dict[int, float], b: dict[int, float]) -> bool:
    """Tell whether two configurations' values differ by more than chance, by a paired t-test over their common seeds.

    Args:
        a: values by seed.
        b: likewise.
    """
    from scipy.special import stdtrit  # a third of a second, which reading a study need not wait for

    gaps = np.array([a[seed] - b[seed] for seed in a.keys() & b.keys()])
    if len(gaps) < 2:
        return False
    error = gaps.std(ddof=1) / len(gaps) ** 0.5
    return bool(abs(gaps.mean()) > stdtrit(len(gaps) - 1, (1 + LEVEL) / 2) * error)


def queue_repeats(study: optuna.Study, sources: Sequence[int], seeds: Sequence[int], epochs: int) -> None:
    """Queue a repeat of each trial with each seed, unless there is one that ended well or may.

    Args:
        study: takes the repeats.
        sources: numbers of ended trials.
        seeds: of the trainings.
        epochs: of the trainings.
    """
    study.set_user_attr(REPEATED, True)
    trials = {t.number: t for t in study.get_trials(deepcopy=False)}
    well = [t for t in trials.values() if is_repeat(t) and t.state != TrialState.FAIL]
    there = {(t.user_attrs[REPEATS], t.user_attrs[SEED]) for t in well}
    for seed in seeds:
        for source in sources:
            if (source, seed) not in there:
                study.add_trial(_repeat_of(trials[source], seed, epochs))


def _repeat_of(source: FrozenTrial, seed: int, epochs: int) -> FrozenTrial:
    """Return a trial that waits to train another one's configuration with a seed of its own."""
    config = {**source.user_attrs["config"], "seed": seed, "epochs": epochs}
    return optuna.trial.create_trial(
        state=TrialState.WAITING,
        params=source.params,
        distributions=source.distributions,
        user_attrs={REPEATS: source.number, SEED: seed, "config": config},
    )
