"""Learning rate over the budget: pure functions of progress, so that a budget may be epochs or seconds alike."""

from math import cos, pi

WARM_UP = 0.2  # share of the budget in which onecycle climbs
DECAY = 0.01  # what exponential ends at


def factor(name: str, progress: float) -> float:
    """Return what the peak learning rate is multiplied by.

    Args:
        name: onecycle (linear up for the first fifth, then linear to 0; Smith and Topin 2017, arXiv 1708.07120, with
            the straight lines of Jordan 2024), cosine (from the peak to 0; Loshchilov and Hutter 2016, arXiv
            1608.03983), exponential (from the peak to a hundredth), constant.
        progress: share of the budget that is spent, 0..1; beyond is taken as the end.

    >>> [factor("onecycle", p) for p in (0, 0.1, 0.2, 0.6, 1)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    p = min(max(progress, 0.0), 1.0)
    match name:
        case "onecycle":
            return p / WARM_UP if p < WARM_UP else (1 - p) / (1 - WARM_UP)
        case "cosine":
            return (1 + cos(pi * p)) / 2
        case "exponential":
            return DECAY**p
        case "constant":
            return 1.0
    raise AssertionError(name)  # TrialConfig has refused it
