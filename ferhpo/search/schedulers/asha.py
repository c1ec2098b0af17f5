"""Asynchronous successive halving, stop-type and promotion-type, as rules on plain numbers.

References:
    Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning, arXiv 1810.05934.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ferhpo.search.schedulers.rivals import Rivals
from ferhpo.search.schedulers.rule import Scheduler

PAUSED = 64  # trials that wait at a rung with their state on disk


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
class Halving(Scheduler):
    """Stop-type: at a rung a trial goes on if it is among the best ``1 / reduction`` of all that reached it so far.

    The best so far always goes on.

    Args:
        at: the epochs that are rungs; none means that no trial is ever stopped.
        reduction: one in so many goes on.
        maximize: direction of the metric.
        rivals: whom a trial is judged against.
        values: by rung and trial number.
    """

    at: tuple[int, ...]
    reduction: int
    maximize: bool
    rivals: Rivals = field(default_factory=Rivals)
    values: dict[int, dict[int, float]] = field(default_factory=dict)

    def record(self, number: int, values: Mapping[int, float], marks: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Put a trial's values into the rungs they belong to; see `Scheduler.record`."""
        for epoch in self.at:
            if epoch in values:
                self.values.setdefault(epoch, {})[number] = values[epoch]

    def forget(self, number: int) -> None:
        """Take a trial out of every rung."""
        for values in self.values.values():
            values.pop(number, None)

    def goes_on(self, number: int, epoch: int, value: float) -> bool:
        """Record a trial's value at an epoch and tell whether it goes on; anywhere but at a rung it does."""
        if epoch not in self.at:
            return True
        self.record(number, {epoch: value})
        return self._leads(number, epoch, 1)

    def _leads(self, number: int, rung: int, at_least: int) -> bool:
        """Tell whether a trial is among the best of its rivals at a rung."""
        values = self.values[rung]
        everyone = [values[n] for n in self.rivals.of(number, rung, values)]
        return among_best(values[number], everyone, self.reduction, at_least, maximize=self.maximize)


class PromotingHalving(Halving):
    """Promotion-type: at a rung every trial pauses, and goes on once it is among the best ``n // reduction`` there.

    A rung with fewer than ``reduction`` trials promotes nobody, so no trial goes on only because it came first. Free
    workers promote from the highest rung that has somebody to promote, else try something new. When nothing new can
    start, the best of each rung goes on, so that the search ends with a trial that had its whole budget. At most PAUSED
    trials wait; of more, the worst of the lowest rung is over.
    """

    __slots__ = ()
    pauses: ClassVar[bool] = True

    def goes_on(self, number: int, epoch: int, value: float) -> bool:
        """Record a trial's value at an epoch and tell whether it goes on without a pause."""
        if epoch not in self.at:
            return True
        self.record(number, {epoch: value})
        return number in self._best(epoch, 0)

    def paused(self, epoch: int) -> bool:
        """Tell whether a trial that waits after an epoch waits at a rung."""
        return epoch in self.at

    def promote(self, waiting: Mapping[int, int], *, running: int, last: bool) -> int | None:  # noqa: ARG002
        """Return an interrupted trial, else the best of the highest rung that may go on."""
        between = [number for number, epoch in waiting.items() if not self.paused(epoch)]
        ready = [n for rung in reversed(self.at) for n in self._best(rung, int(last)) if waiting.get(n) == rung]
        return min(between, default=next(iter(ready), None))

    def give_up(self, waiting: Mapping[int, int]) -> list[int]:
        """Return the worst of the lowest rungs beyond PAUSED; of several objectives nobody whom no rival beats."""
        held = [(n, rung) for rung in self.at for n in reversed(self._ranked(rung)) if waiting.get(n) == rung]
        worse = [n for n, rung in held if not (self.rivals.points and self._leads(n, rung, 1))]
        return worse[: max(0, len(held) - PAUSED)]

    def _ranked(self, rung: int) -> list[int]:
        values = self.values.get(rung, {})
        return sorted(values, key=lambda number: (-values[number] if self.maximize else values[number], number))

    def _best(self, rung: int, at_least: int) -> list[int]:
        ranked = self._ranked(rung)
        if self.rivals.points:  # the cheapest net has no rival but itself
            at_least = max(at_least, int(len(ranked) >= self.reduction))
            return [number for number in ranked if self._leads(number, rung, at_least)]
        return ranked[: max(at_least, len(ranked) // self.reduction)]


def among_best(value: float, everyone: Iterable[float], reduction: int, at_least: int = 1, *, maximize: bool) -> bool:
    """Tell whether ``value`` is among the best ``max(at_least, n // reduction)`` of the n values, itself included."""
    everyone = list(everyone)
    better = sum(other > value if maximize else other < value for other in everyone)
    return better < max(at_least, len(everyone) // reduction)
