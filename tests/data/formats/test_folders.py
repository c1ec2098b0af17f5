"""Class folders: layouts, class names, and files that are no images."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ferhpo.data.formats import folders
from ferhpo.data.raw import role
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec
from tests.data.made_up import write_images

SPEC = DataSpec(size=12)


def test_train_val_and_test_folders_keep_their_names(tmp_path: Path) -> None:
    write_images(tmp_path, ["train/a/1.png", "train/b/1.png", "Validation/a/1.png", "test/b/1.png", "other/a/1.png"])
    raw = folders.read(tmp_path, SPEC)
    assert sorted(raw.part.tolist()) == ["Validation", "test", "train", "train"]


def test_a_single_tree_has_no_split_names(tmp_path: Path) -> None:
    raw = folders.read(write_images(tmp_path, ["cat/1.png", "dog/1.png", "dog/deeper/2.png"]), SPEC)
    assert raw.part.tolist() == ["", "", ""]
    assert raw.classes == ("cat", "dog")
    assert raw.labels.tolist() == [0, 1, 1]


def test_the_test_folder_falls_apart_by_prefix_where_both_prefixes_occur(tmp_path: Path) -> None:
    names = ["train/happy/Training_1.png", "test/happy/PublicTest_2.png", "test/sad/PrivateTest_3.png"]
    raw = folders.read(write_images(tmp_path, names), SPEC)
    assert sorted(raw.part.tolist()) == ["PrivateTest", "PublicTest", "train"]


def test_one_prefix_alone_leaves_the_test_folder_whole(tmp_path: Path) -> None:
    names = ["train/happy/Training_1.png", "test/happy/PublicTest_2.png", "test/sad/PublicTest_3.png"]
    assert sorted(folders.read(write_images(tmp_path, names), SPEC).part.tolist()) == ["test", "test", "train"]


def test_expressions_and_their_aliases_get_the_order_of_fer2013(tmp_path: Path) -> None:
    names = [
        "train/Neutral/1.png",
        "train/anger/1.png",
        "train/happiness/1.png",
        "test/angry/1.png",
        "test/Contempt/1.png",
    ]
    raw = folders.read(write_images(tmp_path, names), SPEC)
    assert raw.classes == ("angry", "happy", "neutral", "contempt")
    by_file = dict(zip([f.name for f in folders.scan(tmp_path)], raw.labels.tolist(), strict=True))
    assert by_file["train/anger/1.png"] == by_file["test/angry/1.png"] == 0
    assert by_file["train/Neutral/1.png"] == 2


def test_one_unknown_name_makes_the_classes_plain_names(tmp_path: Path) -> None:
    assert folders.read(write_images(tmp_path, ["anger/1.png", "zebra/1.png", "Cat/1.png"]), SPEC).classes == (
        "Cat",
        "anger",
        "zebra",
    )


def test_a_class_may_write_its_accents_in_two_ways(tmp_path: Path) -> None:
    write_images(tmp_path, ["train/zo\u00eb/1.png", "train/ann/1.png", "val/zoe\u0308/1.png"])
    raw = folders.read(tmp_path, SPEC)
    assert (raw.classes, raw.labels.tolist()) == (("ann", "zo\u00eb"), [0, 1, 1])


def test_hidden_files_other_files_and_empty_folders_are_left_out(tmp_path: Path) -> None:
    write_images(tmp_path, ["a/1.png", "b/1.JPG", "b/2.bmp", "b/3.webp", "b/4.jpeg", "a/.hidden.png", ".git/x/1.png"])
    (tmp_path / "a" / "Thumbs.db").write_bytes(b"no image")
    (tmp_path / "c").mkdir()
    raw = folders.read(tmp_path, SPEC)
    assert len(raw.labels) == 5
    assert raw.classes == ("a", "b")


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("L", 3), ("RGB", 1), ("RGB", 3)])
def test_images_get_the_size_and_channels_of_the_spec(tmp_path: Path, mode: str, channels: int) -> None:
    write_images(tmp_path, ["a/1.png", "b/1.png"], side=20, mode=mode)
    images = folders.read(tmp_path, DataSpec(size=8, channels=channels)).images
    assert images.shape == (2, 8, 8, channels)
    assert images.dtype == np.uint8


def test_an_image_of_the_right_size_is_kept_to_the_bit(tmp_path: Path) -> None:
    write_images(tmp_path, ["a/1.png", "b/1.png"])
    images = folders.read(tmp_path, SPEC).images
    assert (images[0, ..., 0] == np.asarray(Image.open(tmp_path / "a/1.png"))).all()


def test_rows_stand_in_the_order_of_the_file_names(tmp_path: Path) -> None:
    write_images(tmp_path, ["b/2.png", "a/9.png", "b/1.png", "a/10.png"])
    assert [found.name for found in folders.scan(tmp_path)] == ["a/10.png", "a/9.png", "b/1.png", "b/2.png"]


@pytest.mark.parametrize("content", [b"", b"no image", "half"])
def test_an_unreadable_image_is_named(tmp_path: Path, content: bytes | str) -> None:
    write_images(tmp_path, ["a/1.png", "b/1.png"], side=64)
    broken = tmp_path / "b/1.png"
    broken.write_bytes(broken.read_bytes()[:700] if isinstance(content, str) else content)
    with pytest.raises(DataError, match=r"b/1.png: an image must be readable, got .*; replace or delete the file"):
        folders.read(tmp_path, SPEC)


def test_a_link_to_nothing_is_an_image_that_is_not_there(tmp_path: Path) -> None:
    write_images(tmp_path, ["a/1.png", "b/1.png"])
    (tmp_path / "b/2.png").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"b/2.png: there is no such image"):
        folders.read(tmp_path, SPEC)


def test_a_folder_without_class_folders_says_what_is_in_it(tmp_path: Path) -> None:
    write_images(tmp_path, ["1.png"])
    with pytest.raises(DataError, match=r"there must be a folder a class .* got 1.png; check the path"):
        folders.read(tmp_path, SPEC)


def test_images_directly_in_train_are_no_class(tmp_path: Path) -> None:
    write_images(tmp_path, ["train/1.png", "test/2.png"])
    with pytest.raises(DataError, match=r"there must be a folder a class .* got test, train"):
        folders.read(tmp_path, SPEC)


@pytest.mark.parametrize("name", ["train", "test", "Valid", "PublicTest", "testing"])
def test_one_class_may_be_called_like_a_split(tmp_path: Path, name: str) -> None:
    raw = folders.read(write_images(tmp_path, [f"{name}/1.png", "bus/1.png", "car/1.png", "car/2.png"]), SPEC)
    assert sorted(raw.classes) == sorted([name, "bus", "car"])
    assert set(raw.part.tolist()) == {""}


def test_two_flat_folders_called_like_splits_are_no_classes(tmp_path: Path) -> None:
    write_images(tmp_path, ["train/1.png", "test/2.png", "more/3.png"])
    with pytest.raises(DataError, match=r"there must be a folder a class .* got more, test, train"):
        folders.read(tmp_path, SPEC)


def test_a_class_or_a_split_with_folders_in_it_is_asked_about(tmp_path: Path) -> None:
    write_images(tmp_path, ["train/steam/1.png", "train/diesel/2.png", "bus/1.png", "car/1.png"])
    with pytest.raises(DataError, match=r"must be splits or classes, got train/, which has folders, beside bus/; move"):
        folders.read(tmp_path, SPEC)


def test_training_and_testing_are_splits(tmp_path: Path) -> None:
    raw = folders.read(write_images(tmp_path, ["Training/a/1.png", "Training/b/1.png", "Testing/a/1.png"]), SPEC)
    assert sorted(raw.part.tolist()) == ["Testing", "Training", "Training"]
    assert role("Testing") == "test"


@pytest.mark.parametrize("flat", ["test/1.png", "train/1.png"])
def test_a_split_whose_images_have_no_class_is_refused(tmp_path: Path, flat: str) -> None:
    write_images(tmp_path, ["train/a/1.png", "train/b/2.png", flat])
    with pytest.raises(DataError, match=rf"must be in folders by class, got {flat} beside train/; sort them"):
        folders.read(tmp_path, SPEC)


def test_images_outside_the_class_folders_are_counted(tmp_path: Path) -> None:
    write_images(tmp_path, ["train/a/1.png", "train/b/1.png", "val/a/1.png", "other/a/1.png", "other/2.png", "3.png"])
    assert folders.read(tmp_path, SPEC).left_out == {"elsewhere": 3}
    assert folders.read(write_images(tmp_path / "tree", ["a/1.png", "b/1.png"]), SPEC).left_out == {}


@pytest.mark.parametrize("ending", ["tif", "TIFF", "gif", "jfif", "pgm", "ppm"])
def test_less_usual_kinds_of_images_are_read(tmp_path: Path, ending: str) -> None:
    write_images(tmp_path, ["a/1.png", "b/1.png"])
    kind = {"jfif": "JPEG", "pgm": "PPM", "ppm": "PPM", "tif": "TIFF"}.get(ending, ending.upper())
    Image.open(tmp_path / "a/1.png").save(tmp_path / f"a/2.{ending}", kind)
    assert folders.read(tmp_path, SPEC).labels.tolist() == [0, 0, 1]


def test_a_class_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    write_images(tmp_path, [os.fsdecode(b"m\xfcde/1.png"), "wach/1.png"])
    with pytest.raises(DataError, match=r"a class must have a name in UTF-8, got 'm\\udcfcde'; rename the folder"):
        folders.read(tmp_path, SPEC)


def test_an_empty_folder_is_called_that(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"got an empty folder"):
        folders.read(tmp_path, SPEC)


def test_a_folder_with_a_csv_points_at_the_csv(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n")
    with pytest.raises(DataError, match=r"got fer2013.csv; give the path of that file"):
        folders.read(tmp_path, SPEC)


def test_classes_one_folder_deeper_are_pointed_at(tmp_path: Path) -> None:
    write_images(tmp_path, ["faces/happy/1.png", "faces/sad/2.png"])
    with pytest.raises(DataError, match=r"got faces/ alone, of folders; give .*/faces$"):
        folders.read(tmp_path, SPEC)


def test_splits_one_folder_deeper_are_pointed_at(tmp_path: Path) -> None:
    write_images(tmp_path, ["archive/train/a/1.png", "archive/test/b/1.png"])
    with pytest.raises(DataError, match=r"got archive/test/; give the path .*/archive$"):
        folders.read(tmp_path, SPEC)
