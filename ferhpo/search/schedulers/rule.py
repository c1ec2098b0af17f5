"""What every scheduler can be asked.

A scheduler is a rule on plain numbers: it knows neither Ray nor the database, and its memory is rebuilt from the study
by `record` whenever a search begins.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar


class Scheduler(ABC):
    """Judges trials by the values they reported, better or worse as the metric has it.

    Attributes:
        pauses: whether a trial that does not go on waits, its state kept, until `promote` names it; else it is over.
    """

    pauses: ClassVar[bool] = False

    def begin(self, number: int) -> Mapping[str, Any]:  # noqa: ARG002
        """Return what the study shall store with a new trial (`record` is given it again after a restart)."""
        return {}

    @abstractmethod
    def record(self, number: int, values: Mapping[int, float], marks: Mapping[str, Any] | None = None) -> None:
        """Take note of the values, by epoch, that a trial reported in an earlier run.

        Args:
            number: the trial's.
            values: by epoch, from 1.
            marks: what the study stores with the trial.
        """

    @abstractmethod
    def forget(self, number: int) -> None:
        """Leave out the values of a trial that failed or broke a constraint: nobody has to be better than it was."""

    @abstractmethod
    def goes_on(self, number: int, epoch: int, value: float) -> bool:
        """Take note of a trial's value after an epoch and tell whether it goes on."""

    def paused(self, epoch: int) -> bool:  # noqa: ARG002
        """Tell whether a trial that waits after an epoch was held back there, and not cut off."""
        return False

    def promote(self, waiting: Mapping[int, int], *, running: int, last: bool) -> int | None:  # noqa: ARG002
        """Return which waiting trial goes on next, None if a new one is the better use of a worker.

        Args:
            waiting: epochs behind each trial that waits: an interrupted one, or one that was paused.
            running: trials that do not wait.
            last: no new trial can start any more, so what is not promoted now may never be.
        """
        return min(waiting, default=None)

    def betters(self, number: int, waiting: Mapping[int, int]) -> list[int]:  # noqa: ARG002
        """Return which other waiting trials one may be copied from, so that the copy goes on in place of ``number``."""
        return []

    def give_up(self, waiting: Mapping[int, int]) -> list[int]:  # noqa: ARG002
        """Return which waiting trials are over, so that not too many keep their state on disk."""
        return []
