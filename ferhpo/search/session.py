"""`Session`: the decisions of one search, without Ray: which trial is next, and, by `UnderWay`, does this one go on.

So the whole search can be tested in a loop of ten lines.
"""

from collections.abc import Mapping

import numpy as np

from ferhpo._seeding import derive
from ferhpo.search.copies import copied
from ferhpo.search.events import Note
from ferhpo.search.recovery import UNJUDGED
from ferhpo.search.under_way import Assignment, UnderWay
from ferhpo.space.config import TrialConfig
from ferhpo.study.quantities import known


class Session(UnderWay):
    """One run of a search; for the arguments see `UnderWay`."""

    @property
    def over(self) -> bool:
        """Tell whether nothing runs and nothing more is to start."""
        return not self.running and (self.ends() or self.writer.count() >= self.limits.trials)

    @property
    def left(self) -> int:
        """Count the trials that are still to end."""
        return self.limits.trials - self.writer.count()

    @property
    def spent(self) -> bool:
        """Tell whether a limit on the whole study is reached, so that only a larger one lets the search go on."""
        return self._budget.spent is not None

    @property
    def flat(self) -> bool:
        """Tell whether what is left is not worth it by `Limits.flat`, so that the same limits end a search at once."""
        return self._budget.flat(lambda: self.left) is not None

    def next_trial(self) -> Assignment | None:
        """Return the next trial to run, None if none is to start now (see `over`).

        Interrupted trials come first, then queued ones, then those that the scheduler paused.
        """
        room = self.left - len(self.running)
        if room <= 0 or self.ends() or not self._budget.room(len(self.running)):
            return None
        waiting = self.writer.waiting()
        if self.writer.queued() and all(map(self._rule.paused, waiting.values())):
            return self._begin()
        last = room <= len(waiting)
        chosen = self._rule.promote(waiting, running=len(self.running), last=last)
        if chosen is None:
            if not last:
                return self._begin()
            if not self.running:  # nobody is left who could still promote one of them
                self._give_up(waiting)
            return None
        epoch = waiting[chosen]
        if not self._passes(chosen, epoch):
            self._give_up([chosen])
            return self.next_trial()
        return self._begin(chosen if last else self._replaced(chosen, waiting), epoch)

    def _begin(self, number: int | None = None, epoch: int = 0) -> Assignment:
        """Begin a trial, a queued one before a new one, or let one that waits go on after an epoch."""
        if number is None:
            self._clear(self.writer.upcoming())
        number, config, params = self.writer.ask(self._complete, number)
        self.writer.mark(number, self._rule.begin(number))
        return self._begun(Assignment(number=number, config=config, epoch=epoch), params)

    def _passes(self, number: int, epoch: int) -> bool:
        """Tell whether a waiting trial may go on: its last epoch may have come from files, past every judgement."""
        marks = self.writer.marks(number)
        if marks.get(UNJUDGED) != epoch:
            return True
        if self._broken(known(marks), whole=False):
            self._rule.forget(number)
            return False
        return self._rule.pauses or self._rule.goes_on(number, epoch, self.writer.values(number)[epoch])

    def _replaced(self, number: int, waiting: Mapping[int, int]) -> int:
        """Return which trial goes on where one would: itself, or a copy of a better one in its place."""
        betters = self._rule.betters(number, waiting)
        if not betters:
            return number
        rng = np.random.default_rng(derive(self.writer.spec.seed, "copy", number))
        source = betters[rng.integers(len(betters))]
        made = copied(self.writer, source, waiting[number], self._complete, rng)
        if made is None:
            return number
        self._give_up([number])
        self.emit(
            Note(text=f"trial {made} takes trial {source} over after epoch {waiting[number]}, in place of {number}")
        )
        return made

    def _complete(self, config: TrialConfig, number: int) -> TrialConfig:
        spec = self.writer.spec
        return config.with_params({"epochs": spec.budget.epochs, "seed": derive(spec.seed, "trial", number)})
