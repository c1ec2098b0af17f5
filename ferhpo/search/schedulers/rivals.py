"""Whom a trial is judged against where a study has several objectives.

Ranked by accuracy alone, small nets would all be stopped early, and the Pareto front would hold large ones only. So a
trial is compared only with trials at least as good in every other objective: one that beats it there beats it
altogether. A trial that nobody matches in cost always goes on; of the others as many are stopped as before.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from ferhpo.metrics import Metric, quantity
from ferhpo.space.spec import StudySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Rivals:
    """The other objectives of trials, by epoch; with nothing noted everyone is everyone's rival.

    Args:
        others: the study's objectives but for its metric.
        points: by epoch and trial number, greater is better.
    """

    others: tuple[Metric, ...] = ()
    points: dict[int, dict[int, tuple[float, ...]]] = field(default_factory=dict)

    @classmethod
    def of_study(cls, spec: StudySpec) -> Self:
        """Return the rivals of a study of which nothing is noted yet."""
        return cls(others=tuple(quantity(name) for name in spec.objectives if name != spec.metric))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the other objectives."""
        return tuple(other.name for other in self.others)

    def take(self, number: int, epoch: int, values: Sequence[float]) -> None:
        """Take note of a trial's other objectives after an epoch, as they are, in the order of `names`."""
        self.note(number, epoch, tuple(v if o.maximize else -v for o, v in zip(self.others, values, strict=True)))

    def note(self, number: int, epoch: int, point: tuple[float, ...]) -> None:
        """Take note of a trial's other objectives after an epoch, each so that greater is better."""
        if point:
            self.points.setdefault(epoch, {})[number] = point

    def of(self, number: int, epoch: int, everyone: Collection[int]) -> Iterable[int]:
        """Return which of these trials one is judged against after an epoch, itself included."""
        points = self.points.get(epoch, {})
        own = points.get(number)
        if own is None:
            return everyone
        return [n for n in everyone if n in points and all(a >= b for a, b in zip(points[n], own, strict=True))]
