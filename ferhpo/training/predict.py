"""Probabilities of a model, the same way for validation while training and for an ensemble later."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ferhpo.errors import CheckpointError, UsageError
from ferhpo.models import registry
from ferhpo.space.config import TrialConfig
from ferhpo.training import checkpoint
from ferhpo.training.images import Preprocessing, Rows
from ferhpo.training.precision import Precision

BATCH_PIXELS = {"cpu": 128 * 48 * 48, "cuda": 2048 * 48 * 48}  # of a batch when none is given; a CPU likes its caches
FP32 = Precision(format="fp32", channels_last=True)


def probabilities(
    model: nn.Module,
    images: np.ndarray,
    preprocessing: Preprocessing,
    *,
    rows: np.ndarray | None = None,
    device: str = "cpu",
    batch: int | None = None,
    precision: Precision = FP32,
    key: str | None = None,
) -> np.ndarray:
    """Return float32 rows x classes, averaged over image and mirror image where the preprocessing says so.

    Args:
        model: on ``device``; it is left in evaluation mode.
        images: uint8 N x S x S x C, may be memory-mapped.
        preprocessing: what is done to an image first.
        rows: int64 rows of ``images``; all of them if None.
        device: cpu or cuda[:n].
        batch: images at a time; by the image size if None.
        precision: of the forward passes.
        key: names images and rows, so that a GPU keeps them for the next call (`Rows`).
    """
    source = Rows(images, rows, device, key)
    pixels = BATCH_PIXELS["cuda" if torch.device(device).type == "cuda" else "cpu"]
    batch = batch or max(1, pixels // preprocessing.image_size**2)
    model.eval()
    parts = []
    with torch.inference_mode(), precision.autocast(device):
        for positions in torch.arange(len(source)).split(batch):
            x = preprocessing.normalise(preprocessing.scaled(source.take(positions)))
            x = x.to(memory_format=precision.memory_format)
            p = model(x).float().softmax(1)
            if preprocessing.mirror:
                p = (p + model(x.flip(3)).float().softmax(1)) / 2
            parts.append(p)
    return torch.cat(parts).cpu().numpy()


def load_model(folder: Path, device: str = "cpu") -> tuple[nn.Module, dict[str, Any]]:
    """Return a checkpoint's model, in evaluation mode, and its card.

    Raises:
        CheckpointError: a file is missing or damaged, or the weights are not the card's model's.
    """
    found = checkpoint.read(folder)
    card = found.card
    try:
        config = TrialConfig.from_params(card["config"]).with_params({"pretrained": False})
        preprocessing = Preprocessing.from_json(card["preprocessing"])
        with torch.random.fork_rng(devices=[]):
            model = registry.build(config, classes=len(card["classes"]), channels=preprocessing.channels)
        model.load_state_dict(found.weights)
    except (UsageError, TypeError, KeyError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        msg = f"checkpoint {folder} does not rebuild its model ({reason}); it is of another version, train again"
        raise CheckpointError(msg) from error
    return model.to(device).to(memory_format=torch.channels_last).eval(), card
