"""The median stopping rule.

References:
    Golovin et al. 2017, Google Vizier: A Service for Black-Box Optimization, section 3.2.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

from ferhpo.search.schedulers.rivals import Rivals
from ferhpo.search.schedulers.rule import Scheduler

ENOUGH = 5  # other trials that reached an epoch, before anyone is judged there


@dataclass(frozen=True, slots=True, kw_only=True)
class MedianRule(Scheduler):
    """A trial is stopped if its best value so far is worse than the median of the others' mean values up to this epoch.

    Others are all trials that reached the epoch, stopped and running ones too: among completed ones alone, the better
    half, the bar would rise with every trial.

    Args:
        grace: epochs that every trial gets.
        maximize: direction of the metric.
        rivals: whom a trial is judged against.
        curves: values by trial number and epoch.
    """

    grace: int
    maximize: bool
    rivals: Rivals = field(default_factory=Rivals)
    curves: dict[int, dict[int, float]] = field(default_factory=dict)

    def record(self, number: int, values: Mapping[int, float], marks: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Keep a trial's curve; see `Scheduler.record`."""
        self.curves.setdefault(number, {}).update(values)

    def forget(self, number: int) -> None:
        """Drop the curve of a trial."""
        self.curves.pop(number, None)

    def goes_on(self, number: int, epoch: int, value: float) -> bool:
        """Record a trial's value and tell whether it goes on; before `grace` epochs are over it does."""
        self.record(number, {epoch: value})
        if epoch < self.grace:
            return True
        there = [n for n, curve in self.curves.items() if n != number and epoch in curve]
        others = [self._upto(n, epoch) for n in self.rivals.of(number, epoch, there)]
        if len(others) < ENOUGH:
            return True
        best, bar = (max if self.maximize else min)(self._upto(number, epoch)), median(map(fmean, others))
        return best >= bar if self.maximize else best <= bar

    def _upto(self, number: int, epoch: int) -> list[float]:
        return [value for at, value in self.curves[number].items() if at <= epoch]
