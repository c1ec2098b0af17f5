"""A made-up data set that is quick to learn, behind the attributes of `data.cache.Prepared`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ferhpo.data.cache import Prepared
from ferhpo.space.config import TrialConfig


def made_up(
    folder: Path, *, train: int = 50, val: int = 24, size: int = 8, channels: int = 1, classes: int = 3
) -> Prepared:
    """Images whose class is the band of rows that is bright, with noise; classes take turns."""
    rng = np.random.default_rng(0)
    n = train + val
    labels = np.arange(n) % classes
    images = rng.integers(0, 90, (n, size, size, channels))
    band = size // classes
    for image, label in zip(images, labels, strict=True):
        image[label * band : (label + 1) * band] += 120
    split = np.repeat(np.array([0, 1], np.int8), [train, val])
    share = images[:train] / 255
    return Prepared(
        folder=folder / "key",
        format="synthetic",
        source=None,
        classes=tuple("abcdefg"[:classes]),
        fingerprint="f" * 64,
        mean=tuple(share.mean((0, 1, 2)).tolist()),
        std=tuple(share.std((0, 1, 2)).tolist()),
        counts={},
        dropped={},
        images=images.astype(np.uint8),
        labels=labels.astype(np.int64),
        split=split,
        group=np.arange(n, dtype=np.int32),
    )


@pytest.fixture
def data(tmp_path: Path) -> Prepared:
    """50 train and 24 validation images of 8 x 8, three classes that can be told apart."""
    return made_up(tmp_path)


@pytest.fixture
def make_data(tmp_path: Path) -> Callable[..., Prepared]:
    """`made_up`, for another shape."""
    return lambda **shape: made_up(tmp_path, **shape)


@pytest.fixture
def without() -> Callable[[Prepared, str], Prepared]:
    """Take a class's train rows away."""

    def drop(data: Prepared, name: str) -> Prepared:
        split = data.split.copy()
        split[(data.labels == data.classes.index(name)) & (split == 0)] = -1
        return replace(data, split=split)

    return drop


@pytest.fixture
def tiny() -> TrialConfig:
    """A training of a fraction of a second that learns the made-up images."""
    return TrialConfig(
        width=8, image_size=8, batch_size=16, epochs=3, lr=0.05, dropout=0.0, augment=0.0, ema=0.0, precision="fp32"
    )
