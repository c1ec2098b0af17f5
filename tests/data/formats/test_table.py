"""A csv of paths and labels: columns found or given, and rows that do not hold."""

from pathlib import Path

import pytest

from ferhpo.data.formats import table
from ferhpo.data.load import detect, load
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec
from tests.data.made_up import write_images

SPEC = DataSpec(size=12)


def write(root: Path, text: str) -> Path:
    write_images(root, [f"faces/{i}.png" for i in range(3)])
    path = root / "labels.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "head", ["file,label,split,subject", "Image_Path, Emotion ,Usage,person", "filename,expression,set,group"]
)
def test_columns_are_found_by_their_usual_names(tmp_path: Path, head: str) -> None:
    rows = "faces/0.png,Happiness,train,S1\nfaces/1.png,anger,test,S2\nfaces/2.png,happy,train,S1\n"
    path = write(tmp_path, f"{head}\n{rows}")
    assert detect(SPEC, path) == "table"
    raw = load(SPEC, path)
    assert [raw.classes[i] for i in raw.labels] == ["happy", "angry", "happy"]
    assert raw.part.tolist() == ["train", "test", "train"]
    assert raw.group is not None
    assert raw.group.tolist() == [0, 1, 0]


def test_rows_without_a_group_are_no_group(tmp_path: Path) -> None:
    path = write(tmp_path, "file,label,subject\nfaces/0.png,a,\nfaces/1.png,b, \nfaces/2.png,a,1\n")
    raw = load(SPEC, path)
    assert raw.group is not None
    assert len(set(raw.group.tolist())) == 3


def test_columns_of_other_names_are_given(tmp_path: Path) -> None:
    path = write(tmp_path, "id,where,mood\n1,0.png,zebra\n2,1.png,cat\n")
    spec = DataSpec(size=12, image_column="where", label_column="mood", images=str(tmp_path / "faces"))
    assert detect(spec, path) == "table"
    raw = load(spec, path)
    assert raw.classes == ("cat", "zebra")
    assert raw.part.tolist() == ["", ""]


def test_a_column_of_splits_may_be_left_aside(tmp_path: Path) -> None:
    path = write(tmp_path, "file,label,split\nfaces/0.png,a,fold3\nfaces/1.png,b,fold4\n")
    with pytest.raises(DataError, match=r"labels.csv:2: a split must have a known name, got 'fold3'"):
        load(SPEC, path)
    assert load(DataSpec(size=12, split_column=""), path).part.tolist() == ["", ""]


@pytest.mark.parametrize(
    ("spec", "text", "message"),
    [
        (SPEC, "file,label\nfaces/9.png,happy\n", r"every annotation needs its image, got none at .*faces/9.png; add"),
        (SPEC, "file,label\nfaces/0.png,\n", r"labels.csv:2: every image needs a label, got none"),
        (SPEC, "file,label\nfaces/0.png\n", r"labels.csv:2: a row must have 2 columns, got 1"),
        (
            SPEC,
            "file,label,label\nfaces/0.png,happy,sad\n",
            r"labels.csv:1: a column that is read must be there once, got 'label' more often; rename the others",
        ),
        (SPEC, "file,label\n", r"labels.csv:1: a csv must have rows below its header, got none"),
        (
            DataSpec(label_column="mood"),
            "file,label\nx,y\n",
            r"there must be a column 'mood', got file, label; set label_",
        ),
        (DataSpec(format="table"), "a,b\nx,y\n", r"a column like image, .*, got a, b; set image_column in \[data\]"),
    ],
)
def test_what_does_not_hold_is_named(tmp_path: Path, spec: DataSpec, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=message):
        table.find(path, spec)


def test_lines_may_end_as_on_an_old_mac(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    path.write_bytes(b"file,label\rfaces/0.png,happy\rfaces/1.png,sad\r")
    assert detect(SPEC, path) == "table"
    assert load(SPEC, path).classes == ("happy", "sad")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'file,label\nfaces/0.png,"happy\n' + b"faces/1.png,sad\n" * 9_000, r"labels.csv:2: a row must be valid csv"),
        (b"file,label\nfaces/0.png,fr\xf6hlich\n", r"labels.csv:2: a csv must be UTF-8, got the byte 0xF6"),
        (b"file,label\n" + b"255 " * 2304 + b",happy\n", r"labels.csv: every annotation needs its image, got none at"),
    ],
)
def test_a_file_that_is_no_csv_of_paths_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path, "")
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(SPEC, path)
