"""AffectNet: npy annotations, csv files with boxes, numbered folders; 8 classes and 7."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ferhpo.data.formats import affectnet
from ferhpo.data.load import detect, load
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec
from tests.data.made_up import NO_CSV, spoilt, write_images

SPEC = DataSpec(size=8)
ORDER = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")


def crops(root: Path, *, text: bool = False) -> Path:
    for part in ("train_set", "val_set"):
        write_images(root, [f"{part}/images/{i}.jpg" for i in range(8)])
        (root / part / "annotations").mkdir()
        for i in range(8):
            np.save(root / part / "annotations" / f"{i}_exp.npy", np.array(str(i)) if text else np.array(i))
            np.save(root / part / "annotations" / f"{i}_val.npy", np.array(0.5))
    return root


def tables(root: Path) -> Path:
    head = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
    folder = root / "Manually_Annotated_Images" / "103"
    folder.mkdir(parents=True)
    for table, codes in (("training", range(11)), ("validation", (1, 6))):
        rows = ""
        for code in codes:
            pixels = np.zeros((20, 20), np.uint8)
            pixels[4:14, 2:12] = 10 * code + 5
            Image.fromarray(pixels).save(folder / f"{table}{code}.png")
            rows += f"103/{table}{code}.png,2,4,10,10,1;2,{code},0.1,0.2\n"
        (root / f"{table}.csv").write_text(head + rows)
    return root


@pytest.mark.parametrize("text", [False, True])
def test_annotations_are_numbers_or_texts_of_them(tmp_path: Path, text: bool) -> None:
    path = crops(tmp_path, text=text)
    assert detect(SPEC, path) == "affectnet"
    raw = affectnet.read(path, SPEC)
    assert raw.files is not None
    assert all(raw.classes[label] == ORDER[int(f.stem)] for f, label in zip(raw.files, raw.labels, strict=True))
    assert raw.part.tolist() == ["train"] * 8 + ["val"] * 8


def test_a_hidden_file_is_no_annotation(tmp_path: Path) -> None:
    (crops(tmp_path) / "train_set/annotations/._3_exp.npy").write_bytes(b"x")
    assert len(affectnet.find(tmp_path).files) == 16


def test_seven_classes_are_eight_without_contempt(tmp_path: Path) -> None:
    raw = load(DataSpec(size=8, classes=ORDER[:7]), crops(tmp_path))
    assert raw.classes == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    assert len(raw.labels) == 14


def test_faces_are_cut_out_and_rows_without_expression_left_out(tmp_path: Path) -> None:
    path = tables(tmp_path)
    assert detect(SPEC, path) == "affectnet"
    raw = affectnet.read(path, SPEC)
    assert [raw.classes[i] for i in raw.labels] == [*ORDER, "happy", "angry"]
    assert raw.images[:8, 4, 4, 0].tolist() == [10 * code + 5 for code in range(8)]
    assert (raw.images.reshape(10, -1).min(1) == raw.images.reshape(10, -1).max(1)).all(), "nothing but the face"
    assert raw.part.tolist() == ["train"] * 8 + ["val"] * 2


def test_numbered_folders_are_read_where_the_format_is_given(tmp_path: Path) -> None:
    write_images(tmp_path, [f"{part}/{i}/x.png" for part in ("train", "val", "test") for i in range(8)])
    assert detect(SPEC, tmp_path) == "folders"
    raw = load(DataSpec(size=8, format="affectnet"), tmp_path)
    assert raw.files is not None
    assert all(raw.classes[label] == ORDER[int(f.parent.name)] for f, label in zip(raw.files, raw.labels, strict=True))


def test_an_annotation_without_image_is_named(tmp_path: Path) -> None:
    (crops(tmp_path) / "train_set/images/3.jpg").unlink()
    with pytest.raises(DataError, match=r"every annotation needs its image, got none at .*train_set/images/3.jpg"):
        affectnet.find(tmp_path)


def test_an_image_without_annotation_is_named(tmp_path: Path) -> None:
    (crops(tmp_path) / "val_set/annotations/3_exp.npy").unlink()
    with pytest.raises(DataError, match=r"every image needs its annotation, got none for .*val_set/images/3.jpg"):
        affectnet.find(tmp_path)


def test_a_broken_annotation_is_named(tmp_path: Path) -> None:
    crops(tmp_path)
    for wrong in ("sad", np.inf):
        np.save(tmp_path / "val_set/annotations/3_exp.npy", np.array(wrong))
        with pytest.raises(DataError, match=r"3_exp.npy: an annotation must hold a whole number"):
            affectnet.find(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("expression,valence", "mood,valence", r"training.csv:1: the header must name .* got none for 'expression'"),
        ("10,1;2,3,", "10,1;2,12,", r"training.csv:5: a label must be one of .*, got '12'"),
        ("2,4,10,10,1;2,3,", "2,4,,10,1;2,3,", r"training.csv:5: a face must have four numbers"),
        ("2,4,10,10,1;2,3,", "2,4,inf,10,1;2,3,", r"training.csv:5: a face must have four numbers"),
        ("2,4,10,10,1;2,3,", "2,4,1e19,10,1;2,3,", r"training.csv:5: a face must have four numbers"),
    ],
)
def test_a_broken_table_is_named_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    table = tables(tmp_path) / "training.csv"
    table.write_text(table.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        affectnet.find(tmp_path)


def test_a_box_outside_its_image_is_named(tmp_path: Path) -> None:
    table = tables(tmp_path) / "training.csv"
    table.write_text(table.read_text().replace(",2,4,10,10,1;2,3,", ",200,4,10,10,1;2,3,", 1))
    with pytest.raises(DataError, match=r"training3.png: the box of a face must lie in its image, got left 200"):
        affectnet.read(tmp_path, SPEC)


def test_a_folder_without_annotations_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train_set/annotations").mkdir(parents=True)
    with pytest.raises(DataError, match="must have images with an expression, got none"):
        affectnet.find(tmp_path)


@pytest.mark.parametrize(("content", "message"), NO_CSV)
def test_a_table_that_is_no_csv_is_named_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    spoilt(tables(tmp_path) / "validation.csv", content)
    with pytest.raises(DataError, match=f"validation.csv:4: {message}"):
        affectnet.find(tmp_path)
