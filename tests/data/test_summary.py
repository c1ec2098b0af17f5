from pathlib import Path

from ferhpo.data.cache import prepare
from ferhpo.data.summary import in_one_line
from ferhpo.space.sections import DataSpec
from tests.data.made_up import row, write_csv, write_images


def test_the_data_are_described_with_what_was_dropped(tmp_path: Path) -> None:
    rows = [row((0, 3)[i % 2], "Training", seed=i) for i in range(20)]
    rows += [row((0, 3)[i % 2], "PublicTest", seed=i) for i in (0, 1, 30, 31)]
    rows += [row((0, 3)[i % 2], "PrivateTest", seed=40 + i) for i in range(4)]
    path = write_csv(tmp_path / "fer2013.csv", rows)
    text = in_one_line(prepare(DataSpec(), path, tmp_path / "cache"))
    assert text == "data: fer2013.csv: train 18, val 4, test 4; dropped 2 training images also in validation"


def test_images_that_were_left_out_are_counted(tmp_path: Path) -> None:
    splits = ("train", "val", "test")
    write_images(tmp_path / "faces", [*(f"{split}/{c}/1.png" for split in splits for c in "ab"), "new/1.png"])
    text = in_one_line(prepare(DataSpec(), tmp_path / "faces", tmp_path / "cache"))
    assert text.endswith("train 2, val 2, test 2; dropped 1 images outside the folders of classes")


def test_a_class_that_nothing_validates_is_named(tmp_path: Path) -> None:
    write_images(tmp_path / "faces", ["train/no/1.png", "train/yes/1.png", "val/no/2.png", "test/no/3.png"])
    text = in_one_line(prepare(DataSpec(), tmp_path / "faces", tmp_path / "cache"))
    assert text.endswith("train 2, val 1, test 1; no validation images of yes")
