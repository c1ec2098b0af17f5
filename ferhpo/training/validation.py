"""The validation rows: what a model scores on them, and how long that takes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from ferhpo.data.cache import Prepared
from ferhpo.errors import DataError, TrainingError
from ferhpo.metrics import figures
from ferhpo.training.adversarial import TEST_ROWS, TEST_STEPS, Attack, still
from ferhpo.training.guard import halved
from ferhpo.training.images import Preprocessing, Rows
from ferhpo.training.precision import Precision
from ferhpo.training.predict import FP32, batch_size, own_views, probabilities

ROBUST = "robust_accuracy"
PASSES = 1 + 3 * TEST_STEPS  # forward passes that an attacked row costs at most: a step goes back as well
FP32_PASS = 4  # fp16 passes that a float32 one, in which such a net is attacked, takes about as long as at most
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """Weights on the CPU or live ones, with what they score."""

    epoch: int
    weights: dict[str, torch.Tensor]
    figures: dict[str, float]
    probs: np.ndarray


class Validation:
    """The validation rows of a data set, in batches that are halved wherever memory does not hold one.

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
        self._batch = batch_size(preprocessing, device)

    def evaluate(self, model: nn.Module, epoch: int, after: str) -> Evaluated:
        """Score a model's weights of an epoch.

        Args:
            model: on the device.
            epoch: that it was trained for.
            after: the last step in words, `Losses.where`.

        Raises:
            TrainingError: a probability is not finite, or memory does not hold one image.
        """
        probs = self._probabilities(model, self._rows, f"{self._data.folder} {self._data.fingerprint} val")
        if not np.isfinite(probs).all():
            msg = f"validation probabilities must be finite, got others after {after}; set a lower lr"
            raise TrainingError(msg)
        scored = figures(probs.astype(np.float64), self._labels)
        return Evaluated(epoch=epoch, weights=model.state_dict(), figures=scored, probs=probs)

    def attacked_seconds(self, took: float) -> float:
        """Return how long `attacked` takes at most, where a validation takes so long."""
        slower = FP32_PASS if self._precision.format == "fp16" else 1
        return PASSES * slower * took * min(1, TEST_ROWS / len(self._rows))

    def seconds(self, model: nn.Module) -> float:
        """Return about how long one validation takes, from up to 512 rows."""
        rows = self._rows[:512]
        self._probabilities(model, rows, None)  # builds kernels
        start = time.perf_counter()
        self._probabilities(model, rows, None)
        return (time.perf_counter() - start) * len(self._rows) / len(rows)

    def attacked(self, model: nn.Module, found: Evaluated, attack: Attack) -> Evaluated:
        """Return what was found with `ROBUST` among its figures: the share of rows that is right attacked or not.

        Args:
            model: with the weights that were evaluated, averaged over the same views.
            found: of `evaluate`.
            attack: on the rows, of which `TEST_ROWS` are looked at where there are more.
        """
        most = min(batch_size(self._preprocessing, "cpu"), TEST_ROWS, len(self._rows))  # an attack goes back as well
        share = self._in_memory(lambda batch: self._right(model, attack, batch), most)
        return replace(found, figures={**found.figures, ROBUST: share})

    def _right(self, model: nn.Module, attack: Attack, batch: int) -> float:
        """Return the share of rows that is right attacked or not."""
        rows = slice(None, None, -(-len(self._rows) // TEST_ROWS))
        labels = torch.from_numpy(self._labels[rows])
        source = Rows(self._data.images, self._rows[rows], self._device)
        right = torch.zeros((), dtype=torch.int64, device=self._device)
        # in fp16 a sure net's gradients are 0, whose sign attacks nothing, or with a scaled loss may overflow
        slope = FP32 if self._precision.format == "fp16" else self._precision
        still(model)
        positions = torch.arange(len(source)).split(batch)
        for places, images in zip(positions, source.batches(positions), strict=True):
            x = self._preprocessing.normalise(self._preprocessing.scaled(images))
            x, y = x.to(memory_format=self._precision.memory_format), labels[places].to(self._device)
            with torch.no_grad():
                held = self._log_probabilities(model, x).argmax(1) == y
            x, y = x[held], y[held]  # what is wrong anyway need not be attacked
            if not len(x):
                continue
            x = attack(x, lambda seen, y=y: -self._log_probabilities(model, seen, slope).gather(1, y[:, None]).sum())
            with torch.no_grad():
                right += (self._log_probabilities(model, x).argmax(1) == y).sum()
        model.eval()
        return int(right) / len(labels)

    def _log_probabilities(self, model: nn.Module, x: torch.Tensor, precision: Precision | None = None) -> torch.Tensor:
        with (precision or self._precision).autocast(self._device):
            views = [model(x.flip(3) if mirrored else x).float() for mirrored, _, _ in own_views(self._preprocessing)]
        return torch.stack(views).log_softmax(2).logsumexp(0)

    def _probabilities(self, model: nn.Module, rows: np.ndarray, key: str | None) -> np.ndarray:
        return self._in_memory(
            lambda batch: probabilities(
                model,
                self._data.images,
                self._preprocessing,
                rows=rows,
                device=self._device,
                batch=batch,
                precision=self._precision,
                key=key,
            ),
            len(rows),
        )

    def _in_memory(self, compute: Callable[[int], Found], most: int) -> Found:
        """Return what comes of a batch size, halved until memory suffices; the next time it is that small at once."""
        found, batch = halved(compute, min(self._batch, most), self._device)
        if batch < most:
            self._batch = batch
        return found
