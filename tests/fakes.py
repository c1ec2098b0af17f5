"""A trainer whose score is a known function of its config, and data that nobody looks at: a search in a second."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ferhpo import _layout, metrics
from ferhpo._atomic import sha256, write_bytes, write_json
from ferhpo.errors import CheckpointError
from ferhpo.search.job import Job
from ferhpo.search.under_way import Assignment
from ferhpo.search.work import TrialWork
from ferhpo.space.config import TrialConfig
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.training.result import EpochResult

CLASSES = ("angry", "happy", "neutral")
LABELS = np.arange(60) % 3
NO_GPU = "no-gpu"  # a file of the study's folder: an epoch that finds it fails as if its worker's GPU were lost

SPEC = """
description = "a study for tests"
[budget]
epochs = {epochs}
trials = {trials}
max_failures = 3
[sampler]
name = "random"
[scheduler]
name = "{scheduler}"
[space]
arch = "resnet9s"
lr = {{ low = 0.001, high = 1.0, log = true, default = 0.1 }}
dropout = {{ low = 0.0, high = 0.9, default = 0.2 }}
"""


def spec(*, name: str = "toy", epochs: int = 3, trials: int = 4, scheduler: str = "asha", head: str = "") -> StudySpec:
    """Return a study over lr and dropout; ``head`` are further lines at the top of its file."""
    return parse_spec(head + SPEC.format(epochs=epochs, trials=trials, scheduler=scheduler), name=name)


def score(config: TrialConfig, epoch: int) -> float:
    """Return the value after an epoch: best at lr 0.1 and dropout 0.2, growing with the epochs, never 1."""
    distance = abs(np.log10(config.lr) + 1) / 2 + abs(config.dropout - 0.2)
    return float(np.exp(-distance) * (1 - 0.5 / epoch))


def net_costs(config: TrialConfig, _job: Job) -> dict[str, float]:
    """Return what a made-up net costs: less with more dropout; in place of `search.costs.of_net`."""
    return {"params": round(1000 * (1 - config.dropout)), "latency_ms": 10 * (1 - config.dropout), "latency_threads": 1}


@dataclass(frozen=True, kw_only=True)
class FakeData:
    """Stands in for `data.cache.Prepared`."""

    folder: Path
    source: Path | None = None
    format: str = "synthetic"
    fingerprint: str = "f" * 64
    split_digest: str = "5" * 64
    classes: tuple[str, ...] = CLASSES
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    further: tuple[tuple[str, str], ...] = ()

    def part(self, name: str) -> "FakeData":
        """Return itself: the validation rows."""
        assert name == "val"
        return self

    labels = LABELS
    groups = np.arange(60)


def epoch_result(config: TrialConfig, job: Job, epoch: int) -> EpochResult:
    """Return an epoch with the score under every metric's name; it took half a second."""
    figures: dict[str, float] = dict.fromkeys(
        ("accuracy", "balanced_accuracy", "macro_f1", "nll", "ece"), score(config, epoch)
    )

    def save(folder: Path) -> None:
        """Write probabilities of about the score's accuracy, a card, and the state of a training that can go on."""
        seed = int(hashlib.sha256(config.to_json().encode()).hexdigest()[:8], 16)
        rng = np.random.default_rng(seed)
        probs = rng.dirichlet(np.ones(3), size=len(LABELS)).astype(np.float32)
        right = rng.random(len(LABELS)) < score(config, epoch)
        probs[right] = 0.1 + 0.7 * np.eye(3, dtype=np.float32)[LABELS[right]]
        probs /= probs.sum(1, keepdims=True)
        np.save(folder / _layout.PROBABILITIES, probs)
        write_bytes(folder / _layout.WEIGHTS, b"weights")
        checks = {name: sha256(folder / name) for name in (_layout.PROBABILITIES, _layout.WEIGHTS)}
        provenance = {key: job.provenance.get(key) for key in ("fingerprint", "split")}
        card = {
            "format": 1,
            "config": config.params(),
            "classes": CLASSES,
            "epoch": epoch,
            "figures": figures,
            "parameters": 1234,
            "preprocessing": {"stored_size": 48, "channels": 1},
        }
        write_json(folder / _layout.CARD, {**card, "provenance": provenance, "sha256": checks})
        if epoch < config.epochs:
            write_json(folder / _layout.STATE, {"epoch": epoch})

    return EpochResult(
        epoch=epoch,
        figures=figures,
        seconds=0.5,
        done=epoch >= config.epochs,
        save=save,
        train_loss=1.0,
        lr=0.1,
        images_per_second=1000.0,
        details={"parameters": 1234},
    )


def trainer(config: TrialConfig, job: Job, resume: Path | None, pause: float = 0.0) -> Iterator[EpochResult]:
    """Yield epochs of `score`; lr above 0.9 raises, so that a search has failures, and so does `NO_GPU`, once."""
    first = 1
    if resume is not None:
        try:
            first = json.loads((resume / _layout.STATE).read_text())["epoch"] + 1
        except (OSError, ValueError) as error:
            raise CheckpointError(str(error)) from None
    for epoch in range(first, config.epochs + 1):
        if config.lr > 0.9:
            msg = "lr is too high\nand this line is not shown"
            raise ValueError(msg)
        time.sleep(pause)
        with suppress(FileNotFoundError):
            (job.study / NO_GPU).unlink()  # which of two workers one alone can do
            msg = "CUDA error: an illegal memory access was encountered"
            raise RuntimeError(msg)
        yield epoch_result(config, job, epoch)


def job(study: Path, data: FakeData, given: StudySpec | None = None) -> Job:
    """Return what a worker of this study is given; of a spec that asks for costs, tests put in `costs.of_net`."""
    wanted = given.quantities if given else frozenset({"accuracy"})
    provenance = {"fingerprint": data.fingerprint, "split": data.split_digest, "versions": {"ferhpo": "test"}}
    return Job(
        study=study,
        data=data.folder,
        metric=given.metric if given else "accuracy",
        threads=1,
        device="cpu",
        provenance=provenance,
        wanted=wanted,
        costs=wanted & metrics.COST_METRICS.keys(),
    )


def worker(assignment: Assignment, given: Job) -> Callable[[], dict[str, Any]]:
    """Return a function that trains an assignment's next epoch and returns its record: an actor without Ray."""
    work = TrialWork(assignment.number, assignment.config, assignment.epoch, given, trainer)
    return lambda: json.loads(json.dumps(work.next()))
