"""What a training may spend, epochs or wall time: what share of it is spent, and whether another step still fits."""

import time
from collections.abc import Callable

MARGIN = 1.15  # a validation is expected to take up to so many times what the slowest one took
NEAR = 40  # so many steps before the end each step is waited for; twice `guard.CHECK_EVERY`


class Epochs:
    """A number of steps, asked for as a `Clock` is.

    Args:
        steps: in all epochs.
        done: says how many updates were made.
        spent: seconds that an earlier part of the run took.
    """

    def __init__(self, steps: int, done: Callable[[], int], spent: float) -> None:
        self._steps, self._done = steps, done
        self._started = time.perf_counter() - spent
        self.idle = 0.0

    @property
    def over(self) -> bool:
        """No epoch is left."""
        return not self.step_fits()

    def spent(self) -> float:
        """Seconds used so far."""
        return time.perf_counter() - self._started

    def left(self, _seconds: float) -> float:
        """Return the steps that are left."""
        return self._steps - self._done()

    def begin(self) -> None:
        """Begin the first step."""

    def progress(self) -> float:
        """Share of the steps that is used, 0..1, in the middle of the next one."""
        return (self._done() + 0.5) / self._steps

    def saw_step(self, seconds: float) -> None:
        """Take in how long a step took."""

    def saw_validation(self, seconds: float) -> None:
        """Take in how long a validation took."""

    def step_fits(self) -> bool:
        """Tell whether a step is left."""
        return self._done() < self._steps

    def near_end(self) -> bool:
        """Tell whether each step is waited for."""
        return False

    def epoch_fits(self) -> bool:
        """Tell whether an epoch ends after one pass."""
        return True


class Clock:
    """Wall time from now to the end of the last validation, held below ``seconds``.

    Args:
        seconds: the budget.
        spent: what an earlier part of the run has used of it.
        validation: expected seconds of one validation; the slowest one seen takes its place.
        idle: how much of ``spent`` went by before a first step.
    """

    def __init__(self, seconds: float, spent: float, validation: float, idle: float = 0.0) -> None:
        self.seconds, self.idle = seconds, idle
        self._made = time.perf_counter()
        self._started = self._made - spent
        self._reserve = validation * MARGIN
        self._step = 0.0
        self._progress = 0.0

    @property
    def over(self) -> bool:
        """Always False: whatever time is left, one step is made."""
        return False

    def spent(self) -> float:
        """Seconds used so far."""
        return time.perf_counter() - self._started

    def left(self, seconds: float) -> float:
        """Return the steps that are left where one takes so many seconds."""
        return (self.seconds - self.spent()) / seconds

    def begin(self) -> None:
        """Begin the first step: what went by since the clock was made, such as compiling, is spent but no progress."""
        self.idle += time.perf_counter() - self._made

    def progress(self) -> float:
        """Share of the training time that is used, 0..1; it never goes back."""
        share = (self.spent() - self.idle) / max(self.seconds - self._reserve - self.idle, 1e-9)
        self._progress = min(1.0, max(self._progress, share))
        return self._progress

    def saw_step(self, seconds: float) -> None:
        """Take in how long a step took; slow ones count for long."""
        self._step = max(seconds, 0.95 * self._step)

    def saw_validation(self, seconds: float) -> None:
        """Take in how long a validation took."""
        self._reserve = max(self._reserve, seconds * MARGIN)

    def step_fits(self) -> bool:
        """Tell whether a step and the last validation fit into what is left."""
        return self.spent() + self._step + self._reserve <= self.seconds

    def near_end(self) -> bool:
        """Tell whether few steps fit: each is waited for then, since one that a GPU has only queued tells no time."""
        return self.spent() + NEAR * self._step + self._reserve > self.seconds

    def epoch_fits(self) -> bool:
        """Tell whether a validation now would leave time for more training and another validation."""
        return self.spent() + 2 * self._reserve + 10 * self._step <= self.seconds


Budget = Epochs | Clock
