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
from ferhpo.training import balance
from ferhpo.training.images import Preprocessing, Rows

SMALL = (12, 12)  # pixels of the images among which neighbours are looked for
BLOCK = 512  # images that are made small at a time


class Feed:
    """Batches of the train split.

    Args:
        config: batch_size (at most the number of rows is used), augmentation, mixup and seed are read.
        data: has a train row for every class.
        preprocessing: what is done to an image beside augmentation.
        device: where batches go.
        memory_format: of the image batches.
        teacher: soft labels, float32 train rows x classes; None without distillation.

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
        teacher: torch.Tensor | None = None,
    ) -> None:
        part = data.part("train")
        self.counts_c = _counts(data, part.labels)
        self._length = balance.length(part.labels, config.sampling)
        self.batch = min(config.batch_size, self._length)
        self._config, self._preprocessing, self._device, self._format = config, preprocessing, device, memory_format
        self._rows = Rows(data.images, part.rows, device, f"{data.folder} {data.fingerprint} train")
        self._labels = torch.from_numpy(part.labels)
        self._soft = None if data.soft is None else torch.from_numpy(np.array(data.soft[part.rows]))
        self._teacher = teacher
        self._nearest = balance.neighbours(self._small(), part.labels) if config.sampling == "smote" else None
        self._strengths = strengths(config)
        self._fill = torch.tensor(data.mean, dtype=torch.float32, device=device)[:, None, None]

    @property
    def steps(self) -> int:
        """Batches of one pass; a last one of a single row is left out, since it has no batch statistics."""
        full, rest = divmod(self._length, self.batch)
        return full + (rest > 1)

    def batches(
        self,
        epoch: int,
        again: Callable[[], bool] = lambda: False,
        size: Callable[[], int] | None = None,
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield float images B x C x S x S and targets B x classes on the device; with a teacher B x 2 x classes.

        The two are then the label's and the teacher's distribution.

        Args:
            epoch: decides, with the seed, order, augmentation and mixup.
            again: asked after a pass; True adds another one to the epoch.
            size: pixels a side of the next batch, asked when it is made; image_size if None.
        """
        seed = self._config.seed
        generator = torch.Generator(self._device).manual_seed(derive(seed, "augment", epoch))
        mixing = np.random.default_rng(derive(seed, "mixup", epoch))
        for turn in count():
            order = self._order(derive(seed, "order", epoch, turn)).split(self.batch)
            order = [positions for positions in order if len(positions) > 1]
            for images, targets in self._samples(order, derive(seed, "blend", epoch, turn)):
                pixels = None if size is None else size()
                yield self._batch(images, targets, generator, mixing, pixels)
            if not again():
                return

    def _order(self, seed: int) -> torch.Tensor:
        """Return the rows of one pass."""
        if self._config.sampling == "none":
            return torch.randperm(len(self._labels), generator=torch.Generator().manual_seed(seed))
        rng = np.random.default_rng(seed)
        return torch.from_numpy(balance.order(self._labels.numpy(), self._config.sampling, rng))

    def _small(self) -> np.ndarray:
        """Return the rows as vectors of a few pixels, among which near ones are looked for."""
        parts = torch.arange(len(self._rows)).split(BLOCK)
        small = [functional.interpolate(x.float(), SMALL, mode="area").flatten(1) for x in self._rows.batches(parts)]
        return torch.cat(small).cpu().numpy()

    def _samples(self, order: list[torch.Tensor], seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield images and targets by position; repeats of a row blended with a neighbour, where rows are near."""
        if self._nearest is None:
            for positions, images in zip(order, self._rows.batches(order), strict=True):
                yield images, self._targets(positions)
            return
        sizes = [len(positions) for positions in order]
        found = balance.blends(torch.cat(order).numpy(), self._nearest, np.random.default_rng(seed))
        partners, shares = (torch.from_numpy(values).split(sizes) for values in found)
        images = zip(self._rows.batches(order), self._rows.batches(partners), strict=True)
        for positions, others, share, (own, near) in zip(order, partners, shares, images, strict=True):
            weight = share.to(self._device)
            yield _blended(own, near, weight), _blended(self._targets(positions), self._targets(others), weight)

    def _targets(self, positions: torch.Tensor) -> torch.Tensor:
        """Return the shares of the people who labelled, or 1 for the label; with a teacher its shares beside them."""
        if self._soft is not None:
            targets = self._soft[positions]
        else:
            targets = functional.one_hot(self._labels[positions], len(self.counts_c)).float()
        if self._teacher is not None:
            targets = torch.stack((targets, self._teacher[positions]), 1)
        return targets.to(self._device, non_blocking=True)

    @torch.no_grad()
    def _batch(
        self,
        images: torch.Tensor,
        targets: torch.Tensor,
        generator: torch.Generator,
        mixing: np.random.Generator,
        size: int | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x = self._preprocessing.scaled(images, size)
        x = self._preprocessing.normalise(augment(x, self._strengths, generator, self._fill))
        alpha = self._config.mixup
        if alpha:  # Zhang et al. 2018, arXiv 1710.09412; one lambda an image, its partner is the one before it
            share = torch.from_numpy(mixing.beta(alpha, alpha, len(x)).astype(np.float32))
            share = share.to(self._device, non_blocking=True)
            x, targets = (_blended(t.roll(1, 0), t, share) for t in (x, targets))
        return x.to(memory_format=self._format), targets


def _blended(a: torch.Tensor, b: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Return ``share`` of each row of b and the rest of a."""
    return torch.lerp(a.float(), b.float(), share.view(-1, *[1] * (a.ndim - 1)))


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
