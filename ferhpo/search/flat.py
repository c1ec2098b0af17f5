"""How much the rest of a search can be expected to bring: what `--stop-when-flat` compares with its threshold."""

from collections.abc import Sequence

import numpy as np

ENOUGH = 20  # ended trials, before anything is expected of the rest
TAIL = 0.2  # share of the recent trials that tell how fast good values thin out


def expected_improvement(
    values: Sequence[float], rest: int, *, maximize: bool, perfect: float | None = None
) -> float | None:
    """Return how far the best of ``rest`` further trials is expected to lie beyond the best so far.

    The more recent half of the trials stands for what the sampler does now. Of their values the best fifth lie above
    some bar, on average by ``scale``; above the bar values are taken to thin out exponentially, as the tails of many
    distributions do. So one trial beats the best with probability ``p = share * exp(-(best - bar) / scale)``, and ``m``
    trials are expected to by ``scale * sum over j = 1..m of (1 - (1 - p)^j) / j``. A metric near its ceiling thins out
    faster, so the search rather goes on too long than ends too soon. It also does where the best so far is the very
    value that most of the recent trials have: they may all have collapsed, to chance say, and then tell of no tail.

    Args:
        values: of the ended trials, as they ended.
        rest: trials that may still run.
        maximize: direction of the metric.
        perfect: its best value, with which trials have not collapsed; None if nobody knows one.

    Returns:
        The improvement in the metric's unit, at least 0; None where nothing can be told: with fewer than ENOUGH values,
        or of such equal ones.

    References:
        Davison and Smith 1990, Models for Exceedances over High Thresholds (shape 0).
    """
    if len(values) < ENOUGH:
        return None
    sign = 1 if maximize else -1
    signed = np.asarray(values, dtype=float) * sign
    recent = np.sort(signed[-max(ENOUGH, len(signed) // 2) :])[::-1]
    if recent[len(recent) // 2] == signed.max() and (perfect is None or signed.max() != sign * perfect):
        return None
    above = int(len(recent) * TAIL)
    bar = recent[above]
    scale = float((recent[:above] - bar).mean())
    if scale == 0 or rest < 1:
        return 0.0
    p = min(1.0, above / len(recent) * float(np.exp(-(signed.max() - bar) / scale)))
    j = np.arange(1, rest + 1)
    return scale * float(((1 - (1 - p) ** j) / j).sum())
