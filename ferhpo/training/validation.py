"""The validation rows: what a model scores on them, and how long that takes."""

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ferhpo.data.cache import Prepared
from ferhpo.errors import DataError, TrainingError
from ferhpo.metrics import figures
from ferhpo.training.images import Preprocessing
from ferhpo.training.precision import Precision
from ferhpo.training.predict import probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """Weights on the CPU or live ones, with what they score."""

    epoch: int
    weights: dict[str, torch.Tensor]
    figures: dict[str, float]
    probs: np.ndarray


class Validation:
    """The validation rows of a data set.

    Args:
        data: has at least one.
        preprocessing: of the images.
        device: the models'.
        precision: of the forward passes.

    Raises:
        DataError: there is no validation row.
    """

    def __init__(self, data: Prepared, preprocessing: Preprocessing, device: str, precision: Precision) -> None:
        part = data.part("val")
        if not len(part.rows):
            msg = "a training needs at least 1 validation image, got none; add images or raise the data's val share"
            raise DataError(msg)
        self._rows, self._labels = part.rows, part.labels
        self._data, self._preprocessing, self._device, self._precision = data, preprocessing, device, precision

    def evaluate(self, model: nn.Module, epoch: int) -> Evaluated:
        """Score a model's weights of an epoch.

        Raises:
            TrainingError: a probability is not finite.
        """
        probs = self._probabilities(model, self._rows, f"{self._data.folder} {self._data.fingerprint} val")
        if not np.isfinite(probs).all():
            msg = f"validation probabilities must be finite, epoch {epoch} gave others; set a lower lr"
            raise TrainingError(msg)
        scored = figures(probs.astype(np.float64), self._labels)
        return Evaluated(epoch=epoch, weights=model.state_dict(), figures=scored, probs=probs)

    def seconds(self, model: nn.Module) -> float:
        """Return about how long one validation takes, from up to 512 rows."""
        rows = self._rows[:512]
        self._probabilities(model, rows, None)  # builds kernels
        start = time.perf_counter()
        self._probabilities(model, rows, None)
        return (time.perf_counter() - start) * len(self._rows) / len(rows)

    def _probabilities(self, model: nn.Module, rows: np.ndarray, key: str | None) -> np.ndarray:
        return probabilities(
            model,
            self._data.images,
            self._preprocessing,
            rows=rows,
            device=self._device,
            precision=self._precision,
            key=key,
        )
