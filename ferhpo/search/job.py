"""What a worker is given and what it must do: the contract between the search and whatever trains."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferhpo.metrics import metric
from ferhpo.space.config import TrialConfig
from ferhpo.training.result import EpochResult


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
        seconds: wall time of a trial in place of its epochs, None counts epochs.
        wanted: quantities that the study must know of a trial (`StudySpec.quantities`).
        costs: those of them that workers measure, see `search.costs`; an objective gives its own.
    """

    study: Path
    data: Path
    metric: str
    threads: int
    device: str
    provenance: dict[str, Any]
    seconds: float | None = None
    wanted: frozenset[str] = frozenset()
    costs: frozenset[str] = frozenset()


Trainer = Callable[[TrialConfig, Job, Path | None], Iterator[EpochResult]]


def train_trial(config: TrialConfig, job: Job, resume: Path | None) -> Iterator[EpochResult]:
    """Train a configuration for real; the trainer of every search outside the tests."""
    # else each worker that compiles starts a process for every CPU of the machine; torch reads it once it is imported
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(job.threads))
    import torch

    from ferhpo.data.cache import open_prepared
    from ferhpo.models import user
    from ferhpo.training.guard import give_back
    from ferhpo.training.loop import train

    if job.device != "cpu":  # what the trial before keeps is missing from those beside this one
        give_back(job.device)
    user.trust(config.arch)
    torch.set_num_threads(job.threads)
    data = open_prepared(job.data)
    return train(
        config,
        data,
        metric=metric(job.metric),
        device=job.device,
        seconds=job.seconds,
        resume=resume,
        provenance=job.provenance,
    )
