"""Listings of image files: what they hold, part by part, and annotations that do not fit."""

from pathlib import Path

import numpy as np
import pytest

from ferhpo.data.listing import decode, listing, missing, unlabelled
from ferhpo.data.raw import read_image
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec
from tests.data.made_up import write_images


def test_a_listing_is_decoded_row_by_row(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png", "b.png"])
    files = [tmp_path / "b.png", tmp_path / "a.png", tmp_path / "a.png"]
    boxes = [(0, 0, 12, 12), (2, 3, 8, 9), (-5, -5, 6, 6)]
    raw = decode(listing(files, ["happy", "anger", "happy"], group=["b", "a", "a"], boxes=boxes), DataSpec(size=8))
    assert raw.classes == ("angry", "happy")
    assert raw.labels.tolist() == [1, 0, 1]
    assert raw.group is not None
    assert raw.group.tolist() == [1, 0, 0]
    assert raw.files == tuple(files)
    for image, file, box in zip(raw.images, files, boxes, strict=True):
        assert (image == read_image(file, 8, 1, box)).all()


def test_some_rows_of_a_listing_are_a_listing() -> None:
    found = listing([Path("a"), Path("b"), Path("c")], ["x", "y", "x"], ["train", "test", "train"], group="kkl")
    part = found.only(np.array([2, 0]))
    assert part.files == (Path("c"), Path("a"))
    assert part.part.tolist() == ["train", "train"]
    assert part.group is not None
    assert part.group.tolist() == [1, 0]
    assert part.boxes is None


def test_missing_images_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png"])
    missing([tmp_path / "a.png"], "list")
    with pytest.raises(DataError, match=r"list: every annotation needs its image, got none at .*b.png and 1 more"):
        missing([tmp_path / name for name in ("a.png", "b.png", "c.png")], "list")


def test_images_that_nobody_labelled_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png", "b.png", ".hidden.png"])
    (tmp_path / "notes.txt").write_text("no image")
    unlabelled([tmp_path, tmp_path / "none"], [tmp_path / "a.png", tmp_path / "b.png"], "list")
    with pytest.raises(DataError, match=r"list: every image needs its annotation, got none for .*b.png; add it"):
        unlabelled([tmp_path], [tmp_path / "a.png"], "list")


def test_a_name_that_no_file_can_have_is_a_missing_image_and_cut_short(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"list: every annotation needs its image, got none at .*255 255.*; add"
    ) as error:
        missing([tmp_path / ("255 " * 2304)], "list")
    assert len(str(error.value)) < 600
