"""A prepared folder as a set of its own: the same rows, splits and labels again."""

from pathlib import Path

import numpy as np
import pytest

from ferhpo.data.arrays import Images, keep
from ferhpo.data.cache import prepare, write_prepared
from ferhpo.data.load import detect, load
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec
from tests.data.made_up import row, small_csv, write_csv

SPEC = DataSpec()


def test_what_was_prepared_is_read_again_as_it_was(tmp_path: Path) -> None:
    first = write_prepared(SPEC, small_csv(tmp_path / "a.csv"), tmp_path / "made")
    assert detect(SPEC, tmp_path / "made") == "prepared"
    again = prepare(SPEC, tmp_path / "made", tmp_path / "cache")
    assert again.counts == first.counts
    assert again.classes == first.classes
    assert (again.images == first.images).all()
    assert (again.split == first.split).all()


def test_rows_that_were_dropped_are_gone(tmp_path: Path) -> None:
    rows = [row((0, 3)[i % 2], "Training", seed=i) for i in range(30)]
    rows += [row(0, "PublicTest", seed=0), row(3, "PublicTest", seed=90), row(0, "PrivateTest", seed=91)]
    made = write_prepared(SPEC, write_csv(tmp_path / "a.csv", rows), tmp_path / "made")
    assert made.dropped["train_in_val"] == 1
    assert len(load(SPEC, tmp_path / "made").labels) == 32


def test_images_get_the_size_and_channels_of_the_spec(tmp_path: Path) -> None:
    write_prepared(SPEC, small_csv(tmp_path / "a.csv"), tmp_path / "made")
    images = load(DataSpec(size=24, channels=3), tmp_path / "made").images
    assert images.shape == (100, 24, 24, 3)
    assert np.ptp(images, axis=3).max() == 0


def test_sequences_are_read_as_what_they_are_or_not_at_all(tmp_path: Path) -> None:
    spec = DataSpec(size=8, frames=3)
    images = np.random.default_rng(0).integers(256, size=(40, 3, 8, 8, 1), dtype=np.uint8)
    folder = keep(Images(images=images, labels=["happy", "sad"] * 20), spec, tmp_path)
    found = load(spec, folder).images
    assert found.shape == (40, 8, 8, 3)
    assert any((found[0, ..., 1] == sample[1, ..., 0]).all() for sample in images)
    for other in (DataSpec(size=8, channels=3), DataSpec(size=16, frames=3)):
        with pytest.raises(DataError, match=r"prepared images must have . frames a sample at"):
            load(other, folder)
