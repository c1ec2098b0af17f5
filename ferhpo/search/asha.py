"""Asynchronous successive halving, stop-type, as a rule on plain numbers.

References:
    Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning, arXiv 1810.05934. The stop-type variant: a
    trial that reaches a rung goes on only if it is among the best ``1 / reduction`` of all that have reached it so far;
    the best so far always goes on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ferhpo.space.spec import SchedulerSpec


def rungs(grace: int, reduction: int, epochs: int) -> tuple[int, ...]:
    """Return the epochs at which a trial is judged: grace times powers of reduction, below ``epochs``.

    >>> rungs(1, 3, 12)
    (1, 3, 9)
    """
    found = []
    rung = grace
    while rung < epochs:
        found.append(rung)
        rung *= reduction
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Halving:
    """The rungs of one study, filled with the values that trials reported there.

    Args:
        at: the epochs that are rungs; none means that no trial is ever stopped.
        reduction: one in so many goes on.
        maximize: direction of the metric.
    """

    at: tuple[int, ...]
    reduction: int
    maximize: bool
    values: dict[int, dict[int, float]] = field(default_factory=dict)

    def record(self, number: int, values: Mapping[int, float]) -> None:
        """Put a trial's values by epoch into the rungs they belong to (so a restart rebuilds them from the study)."""
        for epoch in self.at:
            if epoch in values:
                self.values.setdefault(epoch, {})[number] = values[epoch]

    def goes_on(self, number: int, epoch: int, value: float) -> bool:
        """Record a trial's value at an epoch and tell whether it goes on; anywhere but at a rung it does."""
        if epoch not in self.at:
            return True
        self.record(number, {epoch: value})
        return among_best(value, self.values[epoch].values(), self.reduction, maximize=self.maximize)


def among_best(value: float, everyone: Iterable[float], reduction: int, *, maximize: bool) -> bool:
    """Tell whether ``value`` is among the best ``max(1, n // reduction)`` of the n values, itself included."""
    everyone = list(everyone)
    better = sum(other > value if maximize else other < value for other in everyone)
    return better < max(1, len(everyone) // reduction)


def scheduler(spec: SchedulerSpec, epochs: int, *, maximize: bool) -> Halving:
    """Return the rule that a study file names: asha, or none, which has no rungs."""
    at = rungs(spec.grace, spec.reduction, epochs) if spec.name == "asha" else ()
    return Halving(at=at, reduction=spec.reduction, maximize=maximize)
