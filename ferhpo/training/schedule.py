"""Learning rate and image size over the budget: functions of progress, so that a budget may be epochs or seconds."""

from dataclasses import dataclass, replace
from math import cos, exp, floor, pi

from ferhpo.metrics import Metric
from ferhpo.space.config import TrialConfig

WARM_UP = 0.2  # share of the budget in which onecycle climbs
DECAY = 0.01  # what exponential ends at without a rate of its own
GROWN = 0.8  # share of the budget after which training images have their full size


@dataclass(frozen=True, slots=True, kw_only=True)
class Plateau:
    """What the plateau schedule has seen of the validation.

    Args:
        best: value so far, None before the first epoch.
        waited: epochs since it.
        drops: times that the learning rate was lowered.
    """

    best: float | None = None
    waited: int = 0
    drops: int = 0

    def after(self, value: float, metric: Metric, patience: int) -> "Plateau":
        """Return what it is after an epoch of this value; a drop begins a new wait."""
        if self.best is None or metric.better(value, self.best):
            return replace(self, best=value, waited=0)
        if self.waited + 1 >= patience:
            return replace(self, waited=0, drops=self.drops + 1)
        return replace(self, waited=self.waited + 1)


def factor(config: TrialConfig, progress: float, *, passes: float = 0.0, drops: int = 0) -> float:
    """Return what the peak learning rate is multiplied by, 0..1.

    Args:
        config: schedule and its settings are read. onecycle: linear up for the first fifth, then linear to 0 (Smith
            and Topin 2017, arXiv 1708.07120, with the straight lines of Jordan 2024); cosine: from the peak to 0
            (Loshchilov and Hutter 2016, arXiv 1608.03983); triangular: ``cycles`` times linear up and down (Smith
            2015, Cyclical Learning Rates, arXiv 1506.01186; changed here: the low end is 0, so that the budget ends
            there); exponential: from the peak to a hundredth, or e^-decay more with every epoch after the first
            ``decay_after``; plateau: ``plateau_factor`` times for every drop; constant.
        progress: share of the budget that is spent, 0..1; beyond is taken as the end.
        passes: over the training rows so far; what exponential counts as epochs.
        drops: of `Plateau`.

    >>> [factor(TrialConfig(schedule="onecycle"), p) for p in (0, 0.1, 0.2, 0.6, 1)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    p = min(max(progress, 0.0), 1.0)
    match config.schedule:
        case "onecycle":
            return p / WARM_UP if p < WARM_UP else (1 - p) / (1 - WARM_UP)
        case "cosine":
            return (1 + cos(pi * p)) / 2
        case "triangular":
            return 1 - abs(2 * (p * config.cycles % 1) - 1)
        case "exponential":
            return (
                DECAY**p
                if config.decay is None
                else exp(-config.decay * max(0, floor(passes) + 1 - config.decay_after))
            )
        case "plateau":
            return config.plateau_factor**drops
        case "constant":
            return 1.0
    raise AssertionError(config.schedule)  # TrialConfig has refused it


def size(config: TrialConfig, progress: float) -> int:
    """Return the pixels a side of training images: from ``grow`` of image_size, linearly, in multiples of 8.

    Small images first: early steps learn what is coarse, at a fraction of the cost (Howard 2018, DAWNBench; Tan and Le
    2021, EfficientNetV2, arXiv 2104.00298).

    Args:
        config: image_size and grow are read.
        progress: share of the budget that is spent, 0..1.

    >>> [size(TrialConfig(image_size=48, grow=0.5), p) for p in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    [24, 32, 32, 40, 48, 48]
    """
    if config.grow == 1 or progress >= GROWN:
        return config.image_size
    share = config.grow + (1 - config.grow) * max(progress, 0) / GROWN
    return min(max(8, 8 * round(config.image_size * share / 8)), config.image_size)


def sizes(config: TrialConfig) -> list[int]:
    """Return every size that training images may have on their way, ascending; the last one is image_size.

    >>> sizes(TrialConfig(image_size=50, grow=0.5))
    [24, 32, 40, 48, 50]
    """
    return [*range(size(config, 0), config.image_size, 8), config.image_size]
