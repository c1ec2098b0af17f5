"""One small net that learns what an ensemble says of the training images.

References:
    Hinton et al. 2015, Distilling the Knowledge in a Neural Network, arXiv 1503.02531. Buciluă et al. 2006, Model
    Compression.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ferhpo import _kept
from ferhpo.data.cache import Part, Prepared
from ferhpo.ensemble import artifact, infer
from ferhpo.metrics import Metric
from ferhpo.scoring import scored
from ferhpo.space.config import TrialConfig

if TYPE_CHECKING:
    from ferhpo.training.result import EpochResult

ROWS = 4096  # training images that the teacher is asked about at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilled:
    """What came out.

    Args:
        folder: the student's checkpoint.
        epochs: it was trained for.
        seconds: training and validation took.
        student: `scoring.scored` on the validation rows, which ended its training at most.
        ensemble: the same of the ensemble; cross-fitted, or of the rows that fitted it where only those are known.
        best_single: the same of the best single trial, which these rows chose; None where it is not known.
        parameters: of student and ensemble.
        latency_ms: of one image on a CPU, of student and ensemble.
    """

    folder: Path
    epochs: int
    seconds: float
    student: Mapping[str, Any]
    ensemble: Mapping[str, Any]
    best_single: Mapping[str, Any] | None
    parameters: Mapping[str, int]
    latency_ms: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return what ``--format json`` prints."""
        return {
            "checkpoint": str(self.folder),
            "epochs": self.epochs,
            "seconds": self.seconds,
            "val": {"student": self.student, "ensemble": self.ensemble, "best_single": self.best_single},
            "accuracy_kept": self.student["accuracy"] / whole if (whole := self.ensemble["accuracy"]) else None,
            "parameters": dict(self.parameters),
            "latency_ms": dict(self.latency_ms),
        }


def distill(
    folder: Path,
    config: TrialConfig,
    data: Prepared,
    out: Path,
    *,
    metric: Metric,
    device: str = "cpu",
    seconds: float | None = None,
    watch: "Callable[[EpochResult], None]" = lambda _: None,
    asked: Callable[[int, int], None] = lambda *_: None,
) -> Distilled:
    """Train a student on an ensemble's probabilities of the training rows and leave its checkpoint in ``out``.

    Args:
        folder: of the ensemble, the teacher.
        config: of the student; its ``distill`` is the weight of the soft labels beside the labels.
        data: the images of the ensemble's study.
        out: folder of the student's checkpoint, replaced epoch by epoch.
        metric: what patience watches.
        device: cpu or cuda[:n].
        seconds: wall time of the training, in place of the config's epochs.
        watch: called with every epoch's result.
        asked: called with how many training rows the teacher was asked about, and how many there are.

    Raises:
        DataError: the images are not the ensemble's, or split in another way.
        Whatever `loop.train` raises.
    """
    from ferhpo.training.single import train_single

    stored = artifact.read(folder)
    stored.check_images(data)
    result, spent = train_single(
        config,
        data,
        out,
        metric=metric,
        device=device,
        seconds=seconds,
        watch=watch,
        teacher=taught(folder, data, device, asked),
        provenance={
            "study": stored.provenance.get("study"),
            "split": data.split_digest,
            "teacher": artifact.digest(folder),
        },
    )
    val, report = data.part("val"), stored.report
    return Distilled(
        folder=out,
        epochs=result.epoch,
        seconds=spent,
        student=scored(probabilities(out, val, device), val.labels, val.groups),
        ensemble=report.get("val") or scored(probabilities(folder, val, device), val.labels, val.groups),
        best_single=report["best_single"]["val"] if report else None,
        parameters={
            "student": result.details["parameters"],
            "ensemble": sum(card["parameters"] for card in stored.cards()),
        },
        latency_ms={
            "student": infer.latency_ms(out),
            "ensemble": sum(infer.latency_ms(member, stored.tta) for member in stored.folders),
        },
    )


def taught(
    folder: Path, data: Prepared, device: str = "cpu", asked: Callable[[int, int], None] = lambda *_: None
) -> np.ndarray:
    """Return an ensemble's probabilities of the training rows, float32, kept beside the prepared images.

    Arguments as `distill`.
    """
    part = data.part("train")
    name = hashlib.sha256(f"{artifact.digest(folder)} {data.folder.name}".encode()).hexdigest()[:20]
    path = data.folder.parent / f"teacher-{name}.npy"

    def ask() -> np.ndarray:
        teacher = infer.Ensemble.load(folder, device)
        said = []
        for start in range(0, len(part.rows), ROWS):
            rows = part.rows[start : start + ROWS]
            said.append(teacher.combination.predict(teacher.member_probabilities(part.images, rows)))
            asked(start + len(rows), len(part.rows))
        return np.concatenate(said).astype(np.float32)

    return _kept.array(path, (len(part.rows), len(data.classes)), ask)


def probabilities(folder: Path, part: Part, device: str = "cpu") -> np.ndarray:
    """Return ``probs_nc`` of an ensemble or a checkpoint on the rows of a split."""
    loaded = infer.Ensemble.load(folder, device)
    return loaded.combination.predict(loaded.member_probabilities(part.images, part.rows))
