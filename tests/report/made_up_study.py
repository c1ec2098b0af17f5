"""A made-up study in a real SQLite file: written by StudyWriter, nothing trained."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from optuna.samplers import RandomSampler

from ferhpo import _layout, metrics
from ferhpo.space.config import TrialConfig
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.study.study import Study
from ferhpo.study.writer import StudyWriter

SPEC = """\
description = "Made-up faces"
metric = "accuracy"
seed = 0

[budget]
epochs = 4
trials = 20

[space]
arch = { choices = ["resnet9s", "vgg8"], default = "resnet9s" }
optimizer = { choices = ["sgd", "adamw"], default = "sgd" }
lr = { low = 0.001, high = 0.4, log = true, default = 0.1 }
momentum = { low = 0.5, high = 0.99, default = 0.9, when = { optimizer = "sgd" } }
dropout = { low = 0.0, high = 0.5, default = 0.2 }
"""
BEST = 16  # number of the best trial of `full`
CLASSES = ["angry", "happy", "neutral"]
LABELS = np.repeat([0, 1, 2], [20, 60, 40])  # the commonest class is half of the 120 rows
DATA = {
    "path": None,
    "format": "synthetic",
    "fingerprint": "f" * 64,
    "cache": "/nowhere",
    "classes": CLASSES,
    "counts": {
        "train": {"angry": 100, "happy": 300, "neutral": 200},
        "val": {"angry": 20, "happy": 60, "neutral": 40},
        "test": {"angry": 21, "happy": 61, "neutral": 41},
    },
}


def score(config: TrialConfig) -> float:
    """The made-up final accuracy: best at lr 0.05, a little better with resnet9s."""
    return 0.85 - 0.1 * abs(np.log10(config.lr / 0.05)) - (0.03 if config.arch == "vgg8" else 0.0)


def record(config: TrialConfig, epoch: int) -> dict[str, Any]:
    """One entry of a trial's history, as the search writes it."""
    accuracy = score(config) * (1 - 0.5**epoch)
    found = {
        "accuracy": accuracy,
        "balanced_accuracy": accuracy - 0.05,
        "macro_f1": accuracy - 0.06,
        "nll": 2 - accuracy,
        "ece": 0.05,
    }
    return {
        "epoch": epoch,
        "figures": found,
        "train_loss": 2 / epoch,
        "lr": config.lr,
        "seconds": 10.0,
        "images_per_second": 500.0,
    }


class Maker:
    """Writes trials of which every number is known."""

    def __init__(self, writer: StudyWriter) -> None:
        self.writer = writer

    def trial(
        self, state: str, epochs: int = 4, attrs: Mapping[str, Any] | None = None, values: list[float] | None = None
    ) -> int:
        """Run one made-up trial to a state; `RUNNING` leaves it there, `WAITING` hands it back."""
        number, config, *_ = self.writer.ask(lambda c, n: c.with_params({"epochs": 4, "seed": n}))
        figures: dict[str, float] = {}
        for epoch in range(1, epochs + 1):
            row = record(config, epoch)
            if values is not None:
                row["figures"]["accuracy"] = values[epoch - 1]
            figures = row["figures"]
            self.writer.report(number, epoch, figures["accuracy"], row)
        given = {
            "parameters": 1_000_000 if config.arch == "resnet9s" else 4_000_000,
            "images_per_second": 500.0,
            "host": "here",
        }
        if state == "WAITING":
            self.writer.hand_back(number)
        elif state != "RUNNING":
            ended = {"figures": figures} if epochs else {}
            self.writer.finish(number, state, figures.get("accuracy"), given | ended | dict(attrs or {}))
        return number

    def checkpoint(self, number: int, probs_nc: np.ndarray) -> dict[str, str]:
        """Keep probabilities as the last epoch's of a trial; return the attribute that points there."""
        folder = _layout.epoch_folder(_layout.trial_folder(self.writer.folder, number), 4)
        folder.mkdir(parents=True)
        np.save(folder / _layout.PROBABILITIES, probs_nc.astype(np.float32))
        return {"checkpoint": str(folder.relative_to(self.writer.folder))}


Browse = Callable[[str], str]


def make_study(
    root: Path, fill: Callable[[Maker], object] | None = None, spec: StudySpec | None = None, **data: object
) -> Study:
    """Write a study and open it for reading."""
    spec = spec or parse_spec(SPEC, name="faces")
    with StudyWriter(
        spec, root, storage=None, data=DATA | data, make_sampler=lambda done, _: RandomSampler(seed=done)
    ) as writer:
        writer.keep_validation(LABELS, np.arange(len(LABELS)))
        if fill is not None:
            fill(Maker(writer))
    return Study.open(root, spec.name)


def probabilities() -> np.ndarray:
    """Probabilities of the validation rows: 80 % sure of the label, wrong on every fifth row."""
    answers = np.where(np.arange(len(LABELS)) % 5 == 0, (LABELS + 1) % 3, LABELS)
    return np.where(np.eye(3)[answers] == 1, 0.8, 0.1)


def every_state(maker: Maker) -> None:
    for _ in range(10):
        maker.trial("COMPLETE")
    for epochs in (1, 2, 1):
        maker.trial("PRUNED", epochs)
    maker.trial("PRUNED", 1, values=[0.505])  # the commonest class is 0.5
    maker.trial("FAIL", 1, {"error": "loss must be finite, got nan in epoch 2"})
    maker.trial("FAIL", 0, {"error": "worker died", "interrupted": True})
    maker.trial("COMPLETE", values=[0.5, 0.7, 0.8, 0.95], attrs=maker.checkpoint(BEST, probabilities()))
    maker.trial("RUNNING", 3)
    maker.trial("WAITING", 2)


def write_ensemble(folder: Path, *, test: bool, **more: object) -> None:
    """Put an ensemble.json into a study's folder."""

    def figures(accuracy: float) -> dict[str, Any]:
        return metrics.figures(probabilities(), LABELS) | {
            "accuracy": accuracy,
            "ci95": [accuracy - 0.05, accuracy + 0.05],
        }

    report = {
        "method": "greedy",
        "members": [{"number": BEST, "weight": 0.75}, {"number": 3, "weight": 0.25}],
        "n_val": 120,
        "val": figures(0.96),
        "test": figures(0.94) if test else None,
        "candidates": {"uniform": figures(0.93), "greedy": figures(0.96)},
        "mcnemar_p": 0.03 if test else None,
        "best_single": {"number": BEST, "val": figures(0.95), "test": figures(0.9) if test else None},
    }
    (folder / "ensemble").mkdir(exist_ok=True)
    (folder / "ensemble" / "ensemble.json").write_text(
        json.dumps({"format": 1, "members": report["members"], "report": report | more})
    )
