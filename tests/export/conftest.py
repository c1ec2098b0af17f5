"""An ensemble of two untrained nets on disk, with probabilities that are far from equal, and its images."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ferhpo.ensemble import artifact, members
from ferhpo.ensemble.combine import Combination
from ferhpo.models import registry
from ferhpo.space.config import TrialConfig
from ferhpo.training import checkpoint
from ferhpo.training.images import Preprocessing

CLASSES = tuple("abc")
SIZE = 16

Write = Callable[..., Path]


def write(
    folder: Path,
    combination: Combination | None = None,
    *,
    tta: str = "own",
    mark: str = "f" * 64,
    classes: tuple[str, ...] = CLASSES,
    size: int = SIZE,
    frames: int = 1,
) -> Path:
    """Write an ensemble: a resnet9s at the stored size, and a vgg8 that sees a larger image and its mirror image.

    The second filters noise; both take samples of so many grey ``frames``.
    """
    folders, cards = [], []
    for m, (arch, seen) in enumerate((("resnet9s", size), ("vgg8", size + 8))):
        denoise = "median" if arch == "vgg8" else "none"
        config = TrialConfig(arch=arch, width=4, image_size=seen, frames=frames, denoise=denoise)
        torch.manual_seed(m)
        model = registry.build(config, classes=len(classes), channels=frames)
        state = model.state_dict()
        state["classifier.weight"] *= 150  # an untrained net is as good as unsure
        look = Preprocessing(
            stored_size=size,
            image_size=seen,
            channels=frames,
            mean=(0.4,) * frames,
            std=(0.2,) * frames,
            mirror=arch == "vgg8",
            frames=frames,
        )
        card = {
            "config": config.params(),
            "classes": list(classes),
            "preprocessing": look.to_json(),
            "epoch": 1,
            "figures": {"accuracy": 0.5},
            "parameters": sum(w.numel() for w in model.parameters()),
            "precision": {"format": "fp32", "channels_last": True, "why": "as configured"},
            "provenance": {"fingerprint": mark},
        }
        own = folder.parent / f"trial-{m}"
        own.mkdir(parents=True)
        checkpoint.write(own, state, card, np.full((4, len(classes)), 1 / len(classes), np.float32))
        folders.append(own)
        cards.append(json.loads((own / "model.json").read_text()))
    found = members.Members(
        numbers=(0, 1),
        folders=tuple(folders),
        cards=tuple(cards),
        latencies=(None, None),
        probs_mnc=np.full((2, 4, len(classes)), 1 / len(classes)),
        y_n=np.arange(4) % 3,
        groups_n=np.arange(4),
        classes=classes,
    )
    combination = combination or Combination(method="uniform", weights_m=np.full(2, 0.5))
    provenance = {"study": "made", "fingerprint": mark}
    artifact.write(folder, found, combination, report={}, provenance=provenance, tta=tta)
    return folder


@pytest.fixture(scope="session")
def write_ensemble() -> Write:
    """Return `write`."""
    return write
