"""A Hugging Face data set on disk: its layout as `save_to_disk` leaves it, read without the library."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from ferhpo.data.formats import huggingface
from ferhpo.data.load import detect, load
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec
from tests.data.made_up import faces

SPEC = DataSpec(size=12)
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FEATURES = {
    "photo": {"_type": "Image"},
    "emotion": {"names": ["neutral", "anger", "happiness"], "_type": "ClassLabel"},
    "note": {"dtype": "string", "_type": "Value"},
}


def png(seed: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(faces(1, 12, seed=seed)[0, ..., 0]).save(out, "PNG")
    return out.getvalue()


def split(folder: Path, codes: Sequence[int], features: dict[str, Any] = FEATURES, files: int = 2) -> Path:
    folder.mkdir(parents=True)
    names = [f"data-{i:05d}-of-{files:05d}.arrow" for i in range(files)]
    for i, name in enumerate(names):
        rows = list(range(len(codes)))[i::files]
        photos = pa.array([{"bytes": png(row), "path": None} for row in rows], IMAGE)
        labels = pa.array([codes[row] for row in rows], pa.int64())
        table = pa.table({"photo": photos, "emotion": labels, "note": pa.array(["x"] * len(rows))})
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    return folder


def dictionary(root: Path) -> Path:
    split(root / "train", [0, 1, 2, 1])
    split(root / "test", [2, 0])
    (root / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    return root


def test_classes_are_the_names_of_the_label_column(tmp_path: Path) -> None:
    assert detect(SPEC, dictionary(tmp_path)) == "huggingface"
    raw = load(SPEC, tmp_path)
    assert raw.classes == ("angry", "happy", "neutral")
    assert [raw.classes[i] for i in raw.labels] == ["neutral", "happy", "angry", "angry", "happy", "neutral"]
    assert raw.part.tolist() == ["train"] * 4 + ["test"] * 2
    assert (raw.images[0] == faces(1, 12, seed=0)[0]).all()
    assert (raw.images[1] == faces(1, 12, seed=2)[0]).all(), "the second row of the first file"


def test_columns_are_told_without_reading_rows(tmp_path: Path) -> None:
    assert huggingface.columns(dictionary(tmp_path)) == list(FEATURES)
    assert huggingface.columns(tmp_path / "train") == list(FEATURES)
    assert huggingface.columns(tmp_path / "nothing") == []
    (tmp_path / "dataset_dict.json").write_text("[]")
    with pytest.raises(DataError, match="must be as save_to_disk leaves it"):
        huggingface.columns(tmp_path)


def test_one_split_alone_has_no_name(tmp_path: Path) -> None:
    path = split(tmp_path / "faces", [0, 1, 2])
    assert detect(SPEC, path) == "huggingface"
    assert load(SPEC, path).part.tolist() == ["", "", ""]


def test_an_image_may_be_a_path(tmp_path: Path) -> None:
    path = split(tmp_path / "faces", [0, 1], {**FEATURES, "photo": {"_type": "Value"}}, files=1)
    (path / "a.png").write_bytes(png(5))
    table = pa.table({"photo": ["a.png", "a.png"], "emotion": [0, 1]})
    with pa.OSFile(str(path / "data-00000-of-00001.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)
    assert (load(DataSpec(size=12, image_column="photo"), path).images == faces(1, 12, seed=5)).all()


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (
            {"emotion": FEATURES["emotion"]},
            r"there must be a column of images, got emotion; set image_column in \[data\]",
        ),
        ({"photo": FEATURES["photo"]}, r"there must be a column of labels, got photo; set label_column in \[data\]"),
    ],
)
def test_a_missing_column_is_named(tmp_path: Path, features: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        huggingface.read(split(tmp_path / "faces", [0, 1], features), SPEC)


def test_a_label_outside_its_names_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"faces, row 1: a label must be from 0 to 2, got -1; label the image"):
        huggingface.read(split(tmp_path / "faces", [0, -1], files=1), SPEC)


@pytest.mark.parametrize("label", [None, "", " "])
def test_a_text_that_names_no_class_is_named(tmp_path: Path, label: str | None) -> None:
    path = split(tmp_path / "faces", [0, 1], {**FEATURES, "emotion": {"dtype": "string", "_type": "Value"}}, files=1)
    table = pa.table(
        {"photo": pa.array([{"bytes": png(i), "path": None} for i in (0, 1)], IMAGE), "emotion": ["happy", label]}
    )
    with pa.OSFile(str(path / "data-00000-of-00001.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)
    with pytest.raises(DataError, match=r"faces, row 1: every image needs a label, got none; name its class or drop"):
        load(DataSpec(size=12, label_column="emotion"), path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = split(tmp_path / "faces", [0, 1])
    (path / "data-00001-of-00002.arrow").write_bytes(b"no arrow")
    with pytest.raises(DataError, match=r"data-00001-of-00002.arrow: a file of the data set must be readable"):
        huggingface.read(path, SPEC)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dataset_dict.json", "{}"),
        ("dataset_dict.json", "[]"),
        ("train/state.json", "{}"),
        ("train/state.json", '{"_data_files": [{}]}'),
        ("train/dataset_info.json", "[]"),
        ("train/dataset_info.json", '{"features": {"photo": {"_type": "Image"}, "label": null}}'),
    ],
)
def test_json_of_another_shape_is_refused(tmp_path: Path, name: str, content: str) -> None:
    path = dictionary(tmp_path / "faces")
    (path / name).write_text(content)
    with pytest.raises(DataError, match=rf"{path}: a data set must be as save_to_disk leaves it"):
        load(SPEC, path)


def test_a_damaged_image_is_named_by_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "png", lambda seed: b"no image")
    with pytest.raises(DataError, match=r"faces, row 0: an image must be readable"):
        huggingface.read(split(tmp_path / "faces", [0, 1]), SPEC)


def test_a_data_set_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a data set must have rows, got none"):
        huggingface.read(split(tmp_path / "faces", [], files=0), SPEC)


def with_people(folder: Path, people: Sequence[str | None], parts: Sequence[str]) -> Path:
    split(folder, [0, 1, 2, 1], files=1)
    file = folder / "data-00000-of-00001.arrow"
    with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
        table = stream.read_all()
    table = table.append_column("Subject", pa.array(people)).append_column("usage", pa.array(parts))
    table = pa.Table.from_batches(table.to_batches(), table.schema)
    content = pa.BufferOutputStream()
    with pa.ipc.new_stream(content, table.schema) as stream:
        stream.write_table(table)
    file.write_bytes(content.getvalue().to_pybytes())
    features = {**FEATURES, "Subject": {"_type": "Value"}, "usage": {"_type": "Value"}}
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    return folder


def test_people_and_splits_that_columns_name_are_kept(tmp_path: Path) -> None:
    path = with_people(tmp_path / "faces", ["a", "b", None, "a"], ["train", "test", "train", "val"])
    raw = load(SPEC, path)
    assert raw.part.tolist() == ["train", "test", "train", "val"]
    assert raw.group is not None
    assert raw.group[0] == raw.group[3]
    assert len(set(raw.group.tolist())) == 3, "a row without a person is alone"
    aside = load(replace(SPEC, group_column="", split_column=""), path)
    assert (aside.group, set(aside.part.tolist())) == (None, {""})


def test_splits_of_the_set_go_before_a_column_that_nobody_named(tmp_path: Path) -> None:
    with_people(tmp_path / "train", ["a"] * 4, ["test"] * 4)
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train"]}))
    assert set(load(SPEC, tmp_path).part.tolist()) == {"train"}
    assert set(load(replace(SPEC, split_column="usage"), tmp_path).part.tolist()) == {"test"}


def test_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = split(tmp_path / "faces", [0, 1, 2])
    with pytest.raises(DataError, match="there must be a column of groups, got photo, emotion, note; set group_column"):
        load(replace(SPEC, group_column="subject"), path)
