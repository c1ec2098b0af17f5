"""Probabilities of a model, the same way for validation while training and for an ensemble later."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ferhpo.errors import CheckpointError, UsageError, last_line
from ferhpo.models import registry, user, weights
from ferhpo.space.config import TrialConfig
from ferhpo.training import checkpoint
from ferhpo.training.guard import halved
from ferhpo.training.images import Preprocessing, Rows
from ferhpo.training.precision import Precision, gpu_has_bf16

BATCH_PIXELS = {"cpu": 128 * 48 * 48, "cuda": 2048 * 48 * 48}  # of a batch when none is given; a CPU likes its caches
FP32 = Precision(format="fp32", channels_last=True)
View = tuple[bool, int, int]  # of an image: mirrored left and right, stored pixels moved down, and to the right
PLAIN: View = (False, 0, 0)
MIRRORED: View = (True, 0, 0)


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
    views: Sequence[View] | None = None,
) -> np.ndarray:
    """Return float32 rows x classes, averaged over views of each image.

    Args:
        model: on ``device``; it is left in evaluation mode.
        images: uint8 N x S x S x C, may be memory-mapped.
        preprocessing: what is done to an image first.
        rows: int64 rows of ``images``; all of them if None.
        device: cpu or cuda[:n].
        batch: images at a time; if None by the image size, and halved until memory suffices.
        precision: of the forward passes.
        key: names images and rows, so that a GPU keeps them for the next call (`Rows`).
        views: what is averaged over; if None the image, and its mirror image where the preprocessing says so.

    Raises:
        TrainingError: memory does not hold one image.
    """
    views = own_views(preprocessing) if views is None else views
    source = Rows(images, rows, device, key)
    model.eval()

    def computed(batch: int) -> np.ndarray:
        parts = []
        with torch.no_grad(), precision.autocast(device):  # what a net keeps of inference mode, training cannot use
            for images_b in source.batches(torch.arange(len(source)).split(batch)):
                total = 0
                for mirrored, down, right in views:
                    x = preprocessing.normalise(preprocessing.scaled(moved(images_b, down, right)))
                    x = (x.flip(3) if mirrored else x).to(memory_format=precision.memory_format)
                    total = total + model(x).float().softmax(1)
                parts.append(total / len(views))
        return torch.cat(parts).cpu().numpy()

    if batch is not None:
        return computed(batch)
    return halved(computed, min(batch_size(preprocessing, device), max(1, len(source))), device)[0]


def batch_size(preprocessing: Preprocessing, device: str) -> int:
    """Return how many images are predicted at a time unless somebody says how many."""
    pixels = BATCH_PIXELS["cuda" if torch.device(device).type == "cuda" else "cpu"]
    return max(1, pixels // preprocessing.image_size**2)


def own_views(preprocessing: Preprocessing) -> tuple[View, ...]:
    """Return the views a model is validated with while it trains."""
    return (PLAIN, MIRRORED) if preprocessing.mirror else (PLAIN,)


def moved(images: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """Return images (... x S x S) moved by whole pixels; the border is repeated into what comes free."""
    for axis, by in ((-2, down), (-1, right)):
        if by:
            size = images.shape[axis]
            images = images.index_select(axis, (torch.arange(size, device=images.device) - by).clamp(0, size - 1))
    return images


def like_validation(card: Mapping[str, Any], device: str) -> Precision:
    """Return how a checkpoint's validation probabilities were computed, where this machine computes so natively.

    Weights and temperature of an ensemble are fitted to those probabilities, and a test figure stands beside a
    validation figure, so all are computed alike; float32 where bf16 or fp16 would be emulated, which is slow.
    """
    given = card.get("precision")
    wanted = Precision(**given) if given else FP32
    match wanted.format:
        case "bf16":
            able = _has_bf16(device)
        case "fp16":
            able = torch.device(device).type == "cuda"
        case _:
            able = True
    return wanted if able else FP32


def _has_bf16(device: str) -> bool:
    if torch.device(device).type == "cuda":
        return gpu_has_bf16(device)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # noqa: SLF001 - none is public


def load_model(folder: Path, device: str = "cpu") -> tuple[nn.Module, dict[str, Any]]:
    """Return a checkpoint's model, in evaluation mode, and its card.

    Raises:
        CheckpointError: a file is missing or damaged, or the weights are not the card's model's.
        UsageError: its architecture is a user's own, whose module nobody has imported or named.
    """
    found = checkpoint.read(folder)
    card = found.card
    arch = str(card["config"].get("arch"))
    if arch.startswith(f"{user.LIBRARY}:"):
        user.constructor(arch)
    try:
        config = TrialConfig.from_params(card["config"]).with_params({"pretrained": False})
        preprocessing = Preprocessing.from_json(card["preprocessing"])
        with torch.random.fork_rng(devices=[]):
            model = registry.build(config, classes=len(card["classes"]), channels=preprocessing.channels, tried=True)
        weights.load(model, found.weights)
    except (UsageError, TypeError, KeyError, ValueError, RuntimeError) as error:
        reason = last_line(error)
        msg = f"checkpoint {folder} does not rebuild its model ({reason}); it is of another version, train again"
        raise CheckpointError(msg) from error
    return model.to(device).to(memory_format=torch.channels_last).eval(), card
