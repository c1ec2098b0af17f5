"""One configuration trained from its first step to its last, each epoch's checkpoint in place of the one before."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ferhpo._atomic import new_folder
from ferhpo.data.cache import Prepared
from ferhpo.metrics import Metric
from ferhpo.space.config import TrialConfig
from ferhpo.training.loop import train
from ferhpo.training.result import EpochResult


def train_single(
    config: TrialConfig,
    data: Prepared,
    out: Path,
    *,
    metric: Metric,
    device: str = "cpu",
    seconds: float | None = None,
    watch: Callable[[EpochResult], None] = lambda _: None,
    teacher: np.ndarray | None = None,
    provenance: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[EpochResult, float]:
    """Train a configuration and leave its checkpoint in ``out``.

    Args:
        config: what to train.
        data: on what.
        out: folder of the checkpoint, replaced epoch by epoch.
        metric: what patience watches.
        device: cpu or cuda[:n].
        seconds: wall time from the first step to the last validation, in place of the config's epochs.
        watch: called with every epoch's result.
        teacher: soft labels of the training rows, for a config that distils (see `loop.train`).
        provenance: goes into the checkpoint's card.

    Returns:
        The last result, and the seconds that training and validation took.

    Raises:
        Whatever `loop.train` raises.
    """
    result, spent = None, 0.0
    run = train(config, data, metric=metric, device=device, seconds=seconds, teacher=teacher, provenance=provenance)
    for result in run:
        spent += result.seconds
        with new_folder(out) as part:
            result.save(part, resumable=False)  # no command goes on with it
        watch(result)
    assert result is not None  # a budget holds at least one epoch
    return result, spent
