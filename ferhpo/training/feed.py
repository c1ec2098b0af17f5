"""The train rows as augmented, normalised batches with target distributions, in an order that only the seed decides."""

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
import torch
from torch.nn import functional

from ferhpo._seeding import derive
from ferhpo.data.augment import augment, strengths
from ferhpo.data.cache import Prepared
from ferhpo.errors import DataError
from ferhpo.space.config import TrialConfig
from ferhpo.training.images import Preprocessing, Rows


class Feed:
    """Batches of the train split.

    Args:
        config: batch_size (at most the number of rows is used), augmentation, mixup and seed are read.
        data: has a train row for every class.
        preprocessing: what is done to an image beside augmentation.
        device: where batches go.
        memory_format: of the image batches.

    Raises:
        DataError: a class has no training row, or there are fewer than two.
    """

    def __init__(
        self,
        config: TrialConfig,
        data: Prepared,
        preprocessing: Preprocessing,
        device: str,
        memory_format: torch.memory_format,
    ) -> None:
        part = data.part("train")
        self.counts_c = _counts(data, part.labels)
        self.batch = min(config.batch_size, len(part.labels))
        self._config, self._preprocessing, self._device, self._format = config, preprocessing, device, memory_format
        self._rows = Rows(data.images, part.rows, device, f"{data.folder} {data.fingerprint} train")
        self._labels = torch.from_numpy(part.labels)
        self._strengths = strengths(config)
        self._fill = torch.tensor(data.mean, dtype=torch.float32, device=device)[:, None, None]

    @property
    def steps(self) -> int:
        """Batches of one pass; a last one of a single row is left out, since it has no batch statistics."""
        full, rest = divmod(len(self._labels), self.batch)
        return full + (rest > 1)

    def batches(
        self, epoch: int, again: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield float images B x C x S x S and targets B x classes on the device.

        Args:
            epoch: decides, with the seed, order, augmentation and mixup.
            again: asked after a pass; True adds another one to the epoch.
        """
        seed = self._config.seed
        generator = torch.Generator(self._device).manual_seed(derive(seed, "augment", epoch))
        mixing = np.random.default_rng(derive(seed, "mixup", epoch))
        for turn in count():
            shuffling = torch.Generator().manual_seed(derive(seed, "order", epoch, turn))
            for positions in torch.randperm(len(self._labels), generator=shuffling).split(self.batch):
                if len(positions) > 1:
                    yield self._batch(positions, generator, mixing)
            if not again():
                return

    @torch.no_grad()
    def _batch(
        self, positions: torch.Tensor, generator: torch.Generator, mixing: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x = self._preprocessing.scaled(self._rows.take(positions))
        x = self._preprocessing.normalise(augment(x, self._strengths, generator, self._fill))
        labels = self._labels[positions].to(self._device, non_blocking=True)
        targets = functional.one_hot(labels, len(self.counts_c)).float()
        alpha = self._config.mixup
        if alpha:  # Zhang et al. 2018, arXiv 1710.09412; one lambda an image, its partner is the one before it
            share = torch.from_numpy(mixing.beta(alpha, alpha, len(positions)).astype(np.float32))
            share = share.to(self._device, non_blocking=True)
            x = torch.lerp(x.roll(1, 0), x, share[:, None, None, None])
            targets = torch.lerp(targets.roll(1, 0), targets, share[:, None])
        return x.to(memory_format=self._format), targets


def _counts(data: Prepared, labels: np.ndarray) -> torch.Tensor:
    """Return train rows a class; refuse what cannot be trained on."""
    counts = np.bincount(labels, minlength=len(data.classes))
    absent = [name for name, n in zip(data.classes, counts, strict=True) if n == 0]
    if absent:
        said = "has none" if len(absent) == 1 else "have none"
        msg = f"every class needs a training image, {', '.join(absent)} {said}; add images or drop the class"
        raise DataError(msg)
    if len(labels) < 2:
        msg = f"a training needs at least 2 images, got {len(labels)}; add images"
        raise DataError(msg)
    return torch.from_numpy(counts)
