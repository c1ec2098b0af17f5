"""What a worker is given and what it must do: the contract between the search and whatever trains."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ferhpo.metrics import metric
from ferhpo.space.config import TrialConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is the same for all trials of a search.

    Args:
        study: the study's folder; every node must see it.
        data: folder of the prepared data.
        metric: name of the study's metric.
        threads: CPU threads of a worker.
        device: "cpu" or "cuda".
        provenance: goes into every checkpoint's card.
    """

    study: Path
    data: Path
    metric: str
    threads: int
    device: str
    provenance: dict[str, Any]


class Epoch(Protocol):
    """What a trainer yields: `training.loop.EpochResult` is one."""

    epoch: int
    figures: dict[str, float]
    train_loss: float
    lr: float
    seconds: float
    images_per_second: float
    done: bool
    restored: int | None
    details: dict[str, Any]
    save: Callable[[Path], None]


Trainer = Callable[[TrialConfig, Job, Path | None], Iterator[Epoch]]


def train_trial(config: TrialConfig, job: Job, resume: Path | None) -> Iterator[Epoch]:
    """Train a configuration for real; the trainer of every search outside the tests."""
    import torch  # noqa: PLC0415 - the driver never needs it

    from ferhpo.data.cache import open_prepared  # noqa: PLC0415
    from ferhpo.training.loop import train  # noqa: PLC0415

    torch.set_num_threads(job.threads)
    data = open_prepared(job.data)
    return train(config, data, metric=metric(job.metric), device=job.device, resume=resume, provenance=job.provenance)
