"""What an epoch came to, of a training or of what stands in its place; without torch, for searches that need none."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import nan
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult:
    """What one epoch came to; value, probabilities and files are of the same weights.

    Args:
        epoch: epochs finished, from 1.
        figures: `metrics.figures` of the validation rows with the evaluated weights (EMA where on, mirror-averaged);
            robust_accuracy as well at the end of a training on attacked images.
        seconds: of this epoch, validation included.
        done: the budget is finished or the training stopped early; no further epoch follows.
        save: writes this epoch's files (`_layout`) into an empty folder; call it before asking for the next epoch.
            ``resumable=False`` leaves out what ``resume`` reads, two to four times the weights.
        train_loss: mean over the epoch's steps; NaN, as the next two, where no net is trained.
        lr: learning rate of the last step.
        images_per_second: of the training steps.
        restored: with patience, at the end: the epoch whose weights, figures and probabilities these are.
        details: parameters, precision, device, threads, threads_before (of the parts before, where a run went on with
            another number and so is not the uninterrupted one to the bit), torch, batch_size as it came out,
            accumulate (2 where memory held half a batch only; batch norm saw halves then), compiled (how much it
            gained; None where it is not).
    """

    epoch: int
    figures: dict[str, float]
    seconds: float
    done: bool
    save: Callable[..., None]
    train_loss: float = nan
    lr: float = nan
    images_per_second: float = nan
    restored: int | None = None
    details: dict[str, Any] = field(default_factory=dict)
