"""Members made up with known skill, and studies laid out on disk without a training."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ferhpo._atomic import sha256
from ferhpo._layout import CARD, PROBABILITIES, WEIGHTS, epoch_folder, trial_folder

Made = Callable[..., tuple[np.ndarray, np.ndarray]]


def make(members: int, rows: int, classes: int = 7, seed: int = 0, skill: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Return ``probs_mnc`` and ``y_n``: members share part of their noise and differ in skill; 0 is pure chance."""
    rng = np.random.default_rng(seed)
    y_n = rng.integers(classes, size=rows)
    y_n[:classes] = np.arange(classes)[:rows]
    skill_m = skill * rng.uniform(0.7, 1.0, members)
    logits = rng.normal(0, 0.7, (rows, classes)) + rng.normal(0, 0.9, (members, rows, classes))
    odds = np.exp(logits + skill_m[:, None, None] * np.eye(classes)[y_n])
    return odds / odds.sum(2, keepdims=True), y_n


@pytest.fixture(scope="session")
def made() -> Made:
    return make


@dataclass
class FakeStudy:
    """What `ferhpo.ensemble` reads of a `Study`."""

    folder: Path
    trials: list[Any]
    labels: np.ndarray
    groups: np.ndarray
    data: dict[str, Any]
    name: str = "made"
    spec: Any = field(
        default_factory=lambda: SimpleNamespace(
            metric="accuracy",
            sampler=SimpleNamespace(name="tpe"),
            scheduler=SimpleNamespace(name="asha"),
            budget=SimpleNamespace(epochs=3),
            seed=0,
        )
    )
    openings: list[dict[str, str]] = field(default_factory=list)

    def candidates(self) -> list[Any]:
        return self.trials

    def states(self) -> dict[str, int]:
        return {"COMPLETE": len(self.trials)}

    def validation(self) -> tuple[np.ndarray, np.ndarray]:
        return self.labels, self.groups

    def record_opening(self, command: str, version: str) -> int:
        self.openings.append({"command": command, "version": version})
        return len(self.openings)


def write_card(folder: Path, **changes: Any) -> None:
    """Write a model.json that fits its neighbours."""
    card: dict[str, Any] = {
        "format": 1,
        "classes": [f"class{i}" for i in range(7)],
        "preprocessing": {"stored_size": 48, "channels": 1},
        "provenance": {"fingerprint": "f00d", "split": "5eed"},
        "parameters": 1000,
        "sha256": {name: sha256(folder / name) for name in (WEIGHTS, PROBABILITIES)},
    }
    (folder / CARD).write_text(json.dumps(card | changes), encoding="utf-8")


@pytest.fixture
def fake(tmp_path: Path) -> Callable[..., Any]:
    """Lay out a study whose trials are in the order given, best first."""

    def build(probs_mnc: np.ndarray, y_n: np.ndarray, groups_n: np.ndarray | None = None) -> Any:
        trials = []
        for m, probs_nc in enumerate(probs_mnc):
            number = 3 * m + 1
            folder = epoch_folder(trial_folder(tmp_path / "made", number), 2)
            folder.mkdir(parents=True)
            np.save(folder / PROBABILITIES, probs_nc.astype(np.float32))
            (folder / WEIGHTS).write_bytes(b"weights of %d" % number)
            write_card(folder)
            trials.append(SimpleNamespace(number=number, checkpoint=folder, attrs={}))
        return FakeStudy(
            folder=tmp_path / "made",
            trials=trials,
            labels=y_n,
            groups=np.arange(len(y_n)) if groups_n is None else groups_n,
            data={"fingerprint": "f00d", "split": "5eed", "classes": [f"class{i}" for i in range(7)]},
        )

    return build


@pytest.fixture(scope="session")
def rewrite_card() -> Callable[..., None]:
    return write_card
