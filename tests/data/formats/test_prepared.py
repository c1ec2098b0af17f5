"""A prepared folder as a set of its own: the same rows, splits and labels again."""

from pathlib import Path

import numpy as np

from ferhpo.data.cache import prepare, write_prepared
from ferhpo.data.load import detect, load
from ferhpo.space.spec import DataSpec
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
