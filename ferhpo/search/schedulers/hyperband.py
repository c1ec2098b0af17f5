"""Hyperband: brackets of stop-type halving, from the one that judges at once to the one that never does.

References:
    Li et al. 2018, Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization, arXiv 1603.06560.
    Brackets side by side, one for each new trial, as in section 5 of Li et al. 2020, arXiv 1810.05934.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from ferhpo.search.schedulers.asha import Halving
from ferhpo.search.schedulers.rivals import Rivals
from ferhpo.search.schedulers.rule import Scheduler

BRACKET = "bracket"  # the trial's user attribute


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperband(Scheduler):
    """A trial is judged against those of its own bracket; its bracket stands in the study.

    Args:
        brackets: the first judges at every rung, each next one misses the lowest rung of the one before.
        shares: of the trials that each bracket is to have; they sum to 1.
        bracket: of each trial, by number.
    """

    brackets: tuple[Halving, ...]
    shares: tuple[float, ...]
    bracket: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, at: tuple[int, ...], reduction: int, *, maximize: bool, rivals: Rivals | None = None) -> Self:
        """Return the brackets over these rungs, with as many trials each as Hyperband gives them.

        Args:
            at: the rungs of the first bracket, ascending.
            reduction: one in so many goes on.
            maximize: direction of the metric.
            rivals: whom a trial is judged against, within its bracket; None is everyone.
        """
        against = rivals or Rivals()
        brackets = tuple(
            Halving(at=at[s:], reduction=reduction, maximize=maximize, rivals=against) for s in range(len(at) + 1)
        )
        weights = [reduction**halvings / (halvings + 1) for halvings in range(len(at), -1, -1)]
        return cls(brackets=brackets, shares=tuple(weight / sum(weights) for weight in weights))

    def begin(self, number: int) -> Mapping[str, Any]:
        """Put a new trial into the bracket that lags its share most."""
        if number not in self.bracket:
            lacking = [share * (len(self.bracket) + 1) for share in self.shares]
            for s in self.bracket.values():
                lacking[s] -= 1
            self.bracket[number] = lacking.index(max(lacking))
        return {BRACKET: self.bracket[number]}

    def record(self, number: int, values: Mapping[int, float], marks: Mapping[str, Any] | None = None) -> None:
        """Put a trial's values into the rungs of its bracket; one of another scheduler's has none and is left out."""
        stored = (marks or {}).get(BRACKET)
        if stored is not None:
            self.bracket[number] = min(stored, len(self.brackets) - 1)
            self.brackets[self.bracket[number]].record(number, values)

    def forget(self, number: int) -> None:
        """Take a trial out of its bracket's rungs; the bracket has had it all the same."""
        if number in self.bracket:
            self.brackets[self.bracket[number]].forget(number)

    def goes_on(self, number: int, epoch: int, value: float) -> bool:
        """Judge a trial by its bracket's rungs; one of another scheduler's is put into a bracket now."""
        self.begin(number)
        return self.brackets[self.bracket[number]].goes_on(number, epoch, value)
