"""Near duplicates: found among many, whatever small was done to them, and nothing else."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ferhpo.data import near

SIDE = 48


def smooth(count: int, seed: int = 0) -> np.ndarray:
    """Return different images with soft shapes, as photographs have them."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 6, 6), dtype=np.uint8)
    big = [np.asarray(Image.fromarray(c).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for c in coarse]
    return np.stack(big)[..., None]


def pairs(images: np.ndarray) -> np.ndarray:
    return near.pairs(images, np.arange(len(images)))


def jpeg(image: np.ndarray) -> np.ndarray:
    out = io.BytesIO()
    Image.fromarray(image[..., 0]).save(out, "JPEG", quality=30)
    return np.asarray(Image.open(out))[..., None]


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "one pixel": lambda i: np.where(np.arange(SIDE * SIDE).reshape(SIDE, SIDE, 1) == 99, 255 - i, i),
    "brighter": lambda i: (i * 0.7 + 40).astype(np.uint8),
    "noise": lambda i: np.clip(i + np.random.default_rng(1).normal(0, 6, i.shape), 0, 255).astype(np.uint8),
    "compressed": jpeg,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_among_others(change: str) -> None:
    images = smooth(300)
    images[250] = CHANGES[change](images[7])
    assert pairs(images).tolist() == [[7, 250]]


def test_different_images_are_no_pairs() -> None:
    assert len(pairs(smooth(500, seed=3))) == 0


def test_images_of_one_colour_are_no_pairs() -> None:
    images = np.zeros((4, SIDE, SIDE, 1), np.uint8)
    images[2:] = 80
    assert len(pairs(images)) == 0


def test_many_copies_of_one_image_take_no_square_of_time_and_stay_together() -> None:
    images = np.repeat(smooth(1), 3 * near.NEIGHBOURS, axis=0)
    found = pairs(images)
    assert len(found) < len(images) * near.NEIGHBOURS
    assert not near.components(found, len(images)).any()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [8, 20])
def test_any_size_will_do(side: int, channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, side, side, channels), dtype=np.uint8)
    images[30] = images[3]
    assert pairs(images).tolist() == [[3, 30]]


def test_no_image_and_one_have_no_pairs() -> None:
    assert pairs(smooth(2)[:0]).shape == pairs(smooth(1)).shape == (0, 2)


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_components_are_those_that_links_reach(count: int, links: list[tuple[int, int]]) -> None:
    links = [(a % count, b % count) for a, b in links]
    root = list(range(count))
    for _ in range(count):
        for a, b in links:
            root[a] = root[b] = min(root[a], root[b])
    got = near.components(np.array(links, np.int64).reshape(-1, 2), count)
    assert got.tolist() == root


def test_patches_are_means() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    assert near.shrunk(image, np.arange(1), 2, 2)[0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
