"""What ends a search, and how much of it is spent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from numbers import Integral, Real
from typing import Self

from ferhpo.errors import UsageError
from ferhpo.metrics import Metric
from ferhpo.search.flat import expected_improvement
from ferhpo.space.sections import seconds
from ferhpo.space.spec import StudySpec
from ferhpo.study.trial import Trial

AFTER = "running trials end at their next epoch and wait for the next run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What ends a search.

    Args:
        trials: the study's total, earlier runs included.
        seconds: wall time of this run, None is no limit.
        max_failures: failed trials in a row.
        epochs: of all trials of the study together, earlier runs included; None is no limit.
        device_seconds: of training, validation included, summed over the study's trials; None is no limit.
        flat: end when all trials that are left are expected to improve the metric by less than this, see `flat.py`;
            None never asks.
    """

    trials: int
    seconds: float | None = None
    max_failures: int = 5
    epochs: int | None = None
    device_seconds: float | None = None
    flat: float | None = None


def limits_of(
    spec: StudySpec,
    *,
    trials: int | None = None,
    timeout: str | None = None,
    max_failures: int | None = None,
    epochs_total: int | None = None,
    device_seconds: float | None = None,
    stop_when_flat: float | None = None,
    none_too: bool = False,
) -> Limits:
    """Return what ends a search, by the command's options; what is left out is the study file's, or no limit.

    Args:
        spec: the study file.
        trials: the command's option, like those that follow; see `Limits`.
        timeout: see `Limits.seconds`; a duration like "30m".
        max_failures: see `Limits`.
        epochs_total: see `Limits.epochs`.
        device_seconds: see `Limits`.
        stop_when_flat: see `Limits.flat`.
        none_too: 0 trials may be asked for: there is something to do beside the search.

    Raises:
        UsageError: one is no number above 0, or ``timeout`` is no duration.
    """
    check_count("--trials", trials, 0 if none_too else 1)
    check_count("--max-failures", max_failures)
    check_count("--epochs-total", epochs_total)
    for option, value in (("--device-seconds", device_seconds), ("--stop-when-flat", stop_when_flat)):
        if value is not None and not (isinstance(value, Real) and 0 < value < inf):
            msg = f"{option} must be a number above 0, got {value!r}"
            raise UsageError(msg)
    limit = spec.budget.timeout if timeout is None else timeout
    return Limits(
        trials=spec.budget.trials if trials is None else trials,
        seconds=None if limit is None else seconds(limit),
        max_failures=max_failures or spec.budget.max_failures,
        epochs=epochs_total,
        device_seconds=device_seconds,
        flat=stop_when_flat,
    )


def check_count(option: str, value: object, least: int = 1) -> None:
    """Refuse the value of an option, which from Python may be anything, unless it is None or a whole number.

    Raises:
        UsageError: it is something else, or below ``least``.
    """
    whole = isinstance(value, Integral)
    if value is not None and not (whole and int(value) >= least):
        rule = f"at least {least}" if whole else "a whole number"
        msg = f"{option} must be {rule}, got {value!r}"
        raise UsageError(msg)


@dataclass(slots=True, kw_only=True)
class Budget:
    """Counts what a search spends, from what its study has spent already.

    Args:
        limits: what may be spent.
        metric: the study's.
        clock: seconds, monotonic.
        began: the clock's time when this run began.
        epochs: of the study so far.
        device_seconds: of training so far.
        values: of the ended trials that keep the constraints, as they ended.
    """

    limits: Limits
    metric: Metric
    clock: Callable[[], float]
    began: float
    epochs: int = 0
    device_seconds: float = 0.0
    values: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, found: Sequence[Trial], limits: Limits, metric: Metric, clock: Callable[[], float]) -> Self:
        """Return the budget of a study with these trials."""
        ended = [t for t in found if t.state in {"COMPLETE", "PRUNED"} and t.eligible]
        in_order = sorted(ended, key=lambda t: (0.0 if t.ended is None else t.ended.timestamp(), t.number))
        return cls(
            limits=limits,
            metric=metric,
            clock=clock,
            began=clock(),
            epochs=sum(len(t.values) - t.inherited for t in found),
            device_seconds=sum(row["seconds"] for t in found for row in t.attrs.get("history", [])),
            values=[t.value for t in in_order if t.value is not None],
        )

    def epoch(self, seconds: float) -> None:
        """Count an epoch that took so long."""
        self.epochs += 1
        self.device_seconds += seconds

    @property
    def spent(self) -> str | None:
        """What the whole study has used up, None if nothing."""
        limits = self.limits
        if limits.epochs is not None and self.epochs >= limits.epochs:
            return f"the study has had {self.epochs} of {limits.epochs} epochs"
        if limits.device_seconds is not None and self.device_seconds >= limits.device_seconds:
            spent = f"{self.device_seconds:.1f} of {limits.device_seconds:.1f} seconds"
            return f"the study has been trained for {spent}"
        return None

    def room(self, at_work: int) -> bool:
        """Tell whether one more epoch may begin beside so many that are under way and will count."""
        return self.limits.epochs is None or self.epochs + at_work < self.limits.epochs

    def reason(self, left: Callable[[], int]) -> str | None:
        """Return why the search ends now, None if it goes on.

        Args:
            left: counts the trials that are still to end.
        """
        limits = self.limits
        if limits.seconds is not None and self.clock() - self.began >= limits.seconds:
            return f"time is up: {AFTER}"
        if self.spent is not None:
            return f"{self.spent}: {AFTER}"
        return self.flat(left)

    def flat(self, left: Callable[[], int]) -> str | None:
        """Return why the trials that are left are not worth it, None if they are or nobody asks; see `reason`."""
        least = self.limits.flat
        if least is not None and (rest := left()) > 0:
            up, perfect = self.metric.maximize, self.metric.perfect
            expected = expected_improvement(self.values, rest, maximize=up, perfect=perfect)
            if expected is not None and expected < least:
                hope = f"{rest} more trials are expected to improve {self.metric.name} by {expected:.2g}"
                return f"{hope}, less than {least:g}: {AFTER}"
        return None
