"""Population based training: the worst give way to copies of the best, which go on with other settings.

References:
    Jaderberg et al. 2017, Population Based Training of Neural Networks, arXiv 1711.09846.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ferhpo.search.schedulers.asha import among_best
from ferhpo.search.schedulers.rivals import Rivals
from ferhpo.search.schedulers.rule import Scheduler
from ferhpo.study.attrs import COPIED_AT


@dataclass(frozen=True, slots=True, kw_only=True)
class Population(Scheduler):
    """``size`` trials train in turns of ``every`` epochs; the one with the fewest epochs goes first.

    Among equals the worst goes first, while better ones still wait on disk. If it is in the worst ``1 / reduction`` of
    those that got there uncopied, a copy of one of the best may replace it. When a search has no further trial to
    begin, those that are left go on as they are.

    Args:
        every: epochs of a turn.
        size: trials that take turns, more if more run at a time.
        reduction: one in so many gives way.
        maximize: direction of the metric.
        rivals: whom a trial is judged against.
        values: by epoch and trial number, of those that came there by themselves.
    """

    pauses: ClassVar[bool] = True
    every: int
    size: int
    reduction: int
    maximize: bool
    rivals: Rivals = field(default_factory=Rivals)
    values: dict[int, dict[int, float]] = field(default_factory=dict)

    def record(self, number: int, values: Mapping[int, float], marks: Mapping[str, Any] | None = None) -> None:
        """Keep the values at the end of turns, but for those that a copy took along; see `Scheduler.record`."""
        behind = (marks or {}).get(COPIED_AT, 0)
        for epoch, value in values.items():
            if epoch % self.every == 0 and epoch > behind:
                self.values.setdefault(epoch, {})[number] = value

    def forget(self, number: int) -> None:
        """Drop the values of a trial."""
        for values in self.values.values():
            values.pop(number, None)

    def goes_on(self, number: int, epoch: int, value: float) -> bool:
        """Record a trial's value; at the end of its turn it waits."""
        self.record(number, {epoch: value})
        return epoch % self.every > 0

    def paused(self, epoch: int) -> bool:
        """Tell whether a trial that waits after an epoch has had its turn."""
        return epoch % self.every == 0

    def promote(self, waiting: Mapping[int, int], *, running: int, last: bool) -> int | None:
        """Return an interrupted trial; once the population is whole, the worst of those that are least far."""
        between = [number for number, epoch in waiting.items() if not self.paused(epoch)]
        if between or not waiting:
            return min(between, default=None)
        if len(waiting) + running < self.size and not last:
            return None
        epoch = min(waiting.values())
        return max((n for n, at in waiting.items() if at == epoch), key=lambda n: (self._better(n, epoch), -n))

    def betters(self, number: int, waiting: Mapping[int, int]) -> list[int]:
        """Return the best of a trial's rivals that wait where it does, if it is among the worst of them."""
        epoch = waiting[number]
        values = self.values.get(epoch, {})
        if epoch % self.every or number not in values:
            return []
        rivals = {n: values[n] for n in self.rivals.of(number, epoch, values)}
        share = len(rivals) // self.reduction
        if not share or not among_best(values[number], rivals.values(), self.reduction, maximize=not self.maximize):
            return []
        there = (n for n in rivals if waiting.get(n) == epoch and rivals[n] != values[number])
        return sorted(
            n for n in there if among_best(rivals[n], rivals.values(), self.reduction, maximize=self.maximize)
        )

    def _better(self, number: int, epoch: int) -> int:
        """Count who does better at an epoch; a copy is as good as its original, which is one of the best."""
        values = self.values.get(epoch, {})
        if number not in values:
            return 0
        return sum(v > values[number] if self.maximize else v < values[number] for v in values.values())
