"""Lets an ensemble look at images; the one module of this folder that runs nets, so it imports torch when it does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ferhpo.data.raw import read_image
from ferhpo.ensemble import artifact
from ferhpo.ensemble.combine import Combination
from ferhpo.errors import UsageError

if TYPE_CHECKING:
    import torch

    from ferhpo.data.cache import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """An ensemble in memory, ready to predict.

    Args:
        classes: names in the order of the probabilities.
        preprocessing: stored_size and channels of the images `predict` takes.
        combination: how the members' probabilities become one.
        models: the members' nets, in evaluation mode, in the order of the combination's weights.
        cards: their model.json.
        device: where they are.
    """

    classes: tuple[str, ...]
    preprocessing: Mapping[str, Any]
    combination: Combination
    models: tuple["torch.nn.Module", ...]
    cards: tuple[Mapping[str, Any], ...]
    device: str

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return ``probs_nc``, float64.

        Args:
            images: uint8, rows x stored_size x stored_size x channels, as `read_images` returns them.

        Raises:
            UsageError: the images have another shape or type.
        """
        size, channels = self.preprocessing["stored_size"], self.preprocessing["channels"]
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (size, size, channels):
            msg = f"an image must be uint8 {size} x {size} x {channels}, got {images.dtype} {images.shape}"
            raise UsageError(msg)
        members = zip(self.models, self.cards, strict=True)
        return self.combination.predict(np.stack([_forward(m, c, images, None, self.device) for m, c in members]))


def load(folder: Path, device: str = "cpu") -> Ensemble:
    """Read an ensemble's folder.

    Raises:
        CheckpointError: a file of it is damaged or missing.
    """
    from ferhpo.training.predict import load_model

    stored = artifact.read(folder)
    models, cards = zip(*(load_model(own, device) for own in stored.folders), strict=True)
    return Ensemble(
        classes=stored.classes,
        preprocessing=stored.preprocessing,
        combination=stored.combination,
        models=tuple(models),
        cards=tuple(cards),
        device=device,
    )


def read_images(paths: Sequence[Path], preprocessing: Mapping[str, Any]) -> np.ndarray:
    """Read image files as the training images were read.

    Args:
        paths: at least one.
        preprocessing: the ensemble's.

    Returns:
        uint8, rows x stored_size x stored_size x channels.

    Raises:
        DataError: one cannot be read; the message names it.
    """
    return np.stack([read_image(path, preprocessing["stored_size"], preprocessing["channels"]) for path in paths])


def member_probabilities(folders: Sequence[Path], part: "Part", device: str = "cpu") -> np.ndarray:
    """Return ``probs_mnc`` of kept checkpoints on the rows of a split, one net in memory at a time."""
    from ferhpo.training.predict import load_model

    probs = []
    for folder in folders:
        model, card = load_model(folder, device)
        probs.append(_forward(model, card, part.images, part.rows, device))
    return np.stack(probs)


def _forward(
    model: "torch.nn.Module", card: Mapping[str, Any], images: np.ndarray, rows: np.ndarray | None, device: str
) -> np.ndarray:
    """Return one member's ``probs_nc`` in float64, rows normalised anew."""
    from ferhpo.training.images import Preprocessing
    from ferhpo.training.predict import probabilities

    preprocessing = Preprocessing.from_json(card["preprocessing"])
    probs_nc = probabilities(model, images, preprocessing, rows=rows, device=device).astype(np.float64)
    return probs_nc / probs_nc.sum(1, keepdims=True)
