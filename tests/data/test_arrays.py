"""Images in memory become a set like any other, and what is wrong with them is said in one sentence."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferhpo.data.arrays import Images, keep, raw
from ferhpo.data.cache import prepare
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec

RNG = np.random.default_rng(0)
GREY = RNG.integers(256, size=(60, 12, 10), dtype=np.uint8)
LABELS = ["sad", "happy"] * 30
GIVEN = Images(images=GREY, labels=LABELS)


def test_names_without_classes_are_in_their_own_order() -> None:
    found = raw(GIVEN)
    assert found.classes == ("happy", "sad")
    assert found.labels.tolist() == [1, 0] * 30
    assert found.images.shape == (60, 12, 10, 1)


def test_numbers_mean_places_in_the_classes() -> None:
    found = raw(Images(images=GREY, labels=[0, 2] * 30, classes=["sad", "calm", "happy"]))
    assert (found.classes, found.labels[:2].tolist()) == (("sad", "calm", "happy"), [0, 2])


def test_labels_of_several_kinds_are_compared_as_text() -> None:
    assert raw(replace(GIVEN, labels=["b", 1, Path("a")] * 20)).classes == ("1", "a", "b")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": GREY.astype(float)}, "images must be uint8"),
        ({"images": GREY[:, :, :, None].repeat(2, 3)}, "x 1 or 3"),
        ({"images": GREY[:0], "labels": []}, "must not be empty"),
        ({"labels": LABELS[:-1]}, "labels must be one an image, 60 in all"),
        ({"labels": [0, 3] * 30, "classes": ["a", "b"]}, "labels must be from 0 to 1"),
        ({"classes": ["sad", "calm"]}, r"among the classes \(sad, calm\), got 'happy'"),
        ({"classes": ["sad", "sad"]}, "classes must differ"),
        ({"labels": [0.0, 1.0, np.nan] * 20}, r"every image needs a label, got none for images\[2\]"),
        ({"labels": ["sad", "happy", np.nan] * 20}, r"every image needs a label, got none for images\[2\]"),
        ({"labels": ["sad", None, 1] * 20}, r"every image needs a label, got none for images\[1\]"),
        ({"labels": ["", "sad"] * 30, "classes": ["", "sad"]}, r"every image needs a label, got none for images\[0\]"),
        ({"groups": [1, 2]}, "groups must be one an image"),
        ({"split": ["train", "dev"] * 30}, "split must say train, val or test, got 'dev'"),
    ],
)
def test_what_is_wrong_is_said(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        raw(replace(GIVEN, **changed))


def test_they_are_read_at_the_size_and_channels_of_a_study(tmp_path: Path) -> None:
    spec = DataSpec(size=16, channels=3)
    data = prepare(spec, keep(GIVEN, spec, tmp_path), tmp_path)
    assert data.images.shape[1:] == (16, 16, 3)
    assert data.classes == ("happy", "sad")
    assert all(sum(counts.values()) for counts in data.counts.values())


def test_groups_and_splits_are_kept(tmp_path: Path) -> None:
    split = np.array(["train"] * 40 + ["val"] * 10 + ["test"] * 10)
    folder = keep(replace(GIVEN, split=split), DataSpec(), tmp_path)
    data = prepare(DataSpec(size=8), folder, tmp_path)
    assert {name: sum(counts.values()) for name, counts in data.counts.items()} == {"train": 40, "val": 10, "test": 10}
    people = np.arange(60) // 6
    data = prepare(DataSpec(size=8), keep(replace(GIVEN, groups=people), DataSpec(), tmp_path), tmp_path)
    assert all(len(set(data.split[people == p].tolist())) == 1 for p in range(10))


@pytest.mark.parametrize(
    "groups",
    [
        np.array([1.0, np.nan, np.nan, 2.0, np.nan, 1.0]),
        ["b", "", " ", "a", "", "b"],
        ["b", np.nan, None, "a", "", "b"],
        [1, None, None, "a", np.nan, 1],
        np.array(["b", None, np.nan, "a", "", "b"], dtype=object),
    ],
)
def test_rows_without_a_group_are_alone(groups: Any) -> None:
    group = raw(Images(images=GREY[:6], labels=LABELS[:6], groups=groups)).group
    assert group is not None
    assert group[0] == group[5]
    assert len(set(group.tolist())) == 5


def test_groups_are_numbered_in_their_own_order() -> None:
    group = raw(replace(GIVEN, groups=[10, 9] * 30)).group
    assert group is not None
    assert group[:2].tolist() == [1, 0], "other numbers would be another set to a study that knows this one"


def test_the_same_arrays_are_stored_once_and_others_elsewhere(tmp_path: Path) -> None:
    first = keep(GIVEN, DataSpec(), tmp_path)
    before = (first / "images.npy").stat().st_mtime_ns
    assert keep(GIVEN, DataSpec(), tmp_path) == first
    assert (first / "images.npy").stat().st_mtime_ns == before
    assert keep(replace(GIVEN, images=255 - GREY), DataSpec(), tmp_path) != first
