"""RAF-DB in both layouts: codes from 1, splits by name, and annotations that do not fit their images."""

from pathlib import Path

import pytest

from ferhpo.data.formats import rafdb
from ferhpo.data.load import detect
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec
from tests.data.made_up import NO_CSV, spoilt, write_images

SPEC = DataSpec(size=12)
CODES = {1: "surprise", 2: "fear", 3: "disgust", 4: "happy", 5: "sad", 6: "angry", 7: "neutral"}


def release(root: Path, folder: str = "aligned", suffix: str = "_aligned") -> Path:
    names = [f"train_{i:05d}" for i in CODES] + ["test_0001", "test_0002"]
    codes = [*CODES, 4, 7]
    write_images(root, [f"basic/Image/{folder}/{name}{suffix}.jpg" for name in names])
    (root / "basic/EmoLabel").mkdir()
    lines = "".join(f"{name}.jpg {code}\n" for name, code in zip(names, codes, strict=True))
    (root / "basic/EmoLabel/list_patition_label.txt").write_text(lines)
    return root


def kaggle(root: Path) -> Path:
    rows = {"train": [(f"train_{i:05d}_aligned.jpg", i) for i in CODES], "test": [("test_0001_aligned.jpg", 4)]}
    for part, pairs in rows.items():
        write_images(root, [f"DATASET/{part}/{code}/{name}" for name, code in pairs])
        lines = "".join(f"{name},{code}\n" for name, code in pairs)
        (root / f"{part}_labels.csv").write_text("image,label\n" + lines)
    return root


@pytest.mark.parametrize("layout", ["release", "the basic folder itself", "original", "kaggle"])
def test_codes_are_names_and_prefixes_splits(tmp_path: Path, layout: str) -> None:
    path = kaggle(tmp_path) if layout == "kaggle" else release(tmp_path, *(["original", ""] * (layout == "original")))
    path = path / "basic" if layout.startswith("the basic") else path
    assert detect(SPEC, path) == "rafdb"
    raw = rafdb.read(path, SPEC)
    assert raw.classes == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    assert raw.files is not None
    by_name = {file.name[:11]: raw.classes[label] for file, label in zip(raw.files, raw.labels, strict=True)}
    assert [by_name[f"train_{i:05d}"] for i in CODES] == list(CODES.values())
    assert set(raw.part.tolist()) == {"train", "test"}
    assert by_name["test_0001_a" if layout != "original" else "test_0001.j"] == "happy"


def test_an_annotation_without_image_is_named(tmp_path: Path) -> None:
    release(tmp_path)
    (tmp_path / "basic/Image/aligned/train_00003_aligned.jpg").unlink()
    with pytest.raises(
        DataError, match=r"every annotation needs its image, got none at .*train_00003_aligned.jpg; add"
    ):
        rafdb.find(tmp_path)


def test_an_image_without_annotation_is_named(tmp_path: Path) -> None:
    write_images(release(tmp_path), ["basic/Image/aligned/train_99999_aligned.jpg"])
    with pytest.raises(DataError, match=r"every image needs its annotation, got none for .*train_99999_aligned.jpg"):
        rafdb.find(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train_00001.jpg 8\n", r"list_patition_label.txt:1: a label must be one of 1, 2, 3, 4, 5, 6, 7, got '8'"),
        ("train_00001.jpg\n", r":1: a line must have 2 fields, got 1"),
        ("\nval_1.jpg 3\n", r":2: an image's name must begin with train_ or test_, got 'val_1.jpg'"),
        ("", r"RAF-DB must have annotations, got none"),
    ],
)
def test_a_broken_list_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (release(tmp_path) / "basic/EmoLabel/list_patition_label.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        rafdb.find(tmp_path)


@pytest.mark.parametrize(("content", "message"), NO_CSV)
def test_a_table_that_is_no_csv_is_named_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    spoilt(kaggle(tmp_path) / "train_labels.csv", content)
    with pytest.raises(DataError, match=f"train_labels.csv:9: {message}"):
        rafdb.find(tmp_path)
