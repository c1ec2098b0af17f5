"""A Hugging Face data set as ``save_to_disk`` leaves it; read with Arrow, so that ``datasets`` need not be installed.

    ROOT/dataset_dict.json {"splits": ["train", "test"]}, ROOT/train/..., ROOT/test/...    or ROOT itself one split
    SPLIT/state.json, SPLIT/dataset_info.json, SPLIT/data-00000-of-00001.arrow

The image column is of type Image (its bytes, or a path from SPLIT), the label column a ClassLabel, whose names count,
or text. Columns are found by type and usual name, or given in the study file; a column of splits is used only where the
set has no splits of its own, or where `split_column` names one.
"""

import io
import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ferhpo.data import names
from ferhpo.data.formats.table import USUAL, groups
from ferhpo.data.formats.table import columns as by_name
from ferhpo.data.pixels import new_images
from ferhpo.data.raw import RawData, read_image
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec

DICTIONARY = "dataset_dict.json"
STATE = "state.json"
INFO = "dataset_info.json"


def matches(path: Path) -> bool:
    """Tell whether ``path`` is a folder that ``save_to_disk`` wrote."""
    return (path / DICTIONARY).is_file() or ((path / STATE).is_file() and (path / INFO).is_file())


def read(path: Path, spec: DataSpec) -> RawData:
    """Read all splits.

    Raises:
        DataError: a file is damaged, a column is missing, a split unknown, or an image cannot be read.
    """
    with _as_saved(path):
        rows = [(split, cell) for split in _splits(path) for cell in _cells(path / split, spec)]
    if not rows:
        msg = f"{path}: a data set must have rows, got none; save it again"
        raise DataError(msg)
    images = new_images(len(rows), spec.size, spec.channels)
    for i, (split, cell) in enumerate(rows):
        images[i] = _image(cell.image, path / split, f"{path / split}, row {cell.row}", spec)
    codes, classes = names.encode([cell.label for _, cell in rows])
    parts = [names.split_name(cell.split or split, str(path)) for split, cell in rows]
    told = any(cell.group is not None for _, cell in rows)
    people = groups([cell.group or "" for _, cell in rows] if told else None)
    group = None if people is None else np.unique(people, return_inverse=True)[1].astype(np.int64)
    return RawData(images=images, labels=codes, classes=classes, part=np.array(parts, dtype=str), group=group)


def columns(path: Path) -> list[str]:
    """Return the names of the columns of ``path``, none where `matches` does not know it.

    Raises:
        DataError: a file of it is damaged.
    """
    if not matches(path):
        return []
    with _as_saved(path):
        return [name for split in _splits(path)[:1] for name in _features(path / split)]


@contextmanager
def _as_saved(path: Path) -> Generator[None]:
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"{path}: a data set must be as save_to_disk leaves it, its JSON is not ({error!r}); save it again"
        raise DataError(msg) from None


def _splits(path: Path) -> list[str]:
    whole = not (path / DICTIONARY).is_file()
    return [""] if whole else [str(name) for name in _json(path / DICTIONARY)["splits"]]


def _features(folder: Path) -> dict[str, Any]:
    return _json(folder / INFO).get("features") or {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """One row of a split: its number, its image (which Arrow has mapped, not read), its class, and what columns say.

    ``split`` is empty and ``group`` None where no column says them.
    """

    row: int
    image: pa.Scalar
    label: str
    split: str
    group: str | None


class _Bytes(io.BytesIO):
    """An image's bytes, whose ``str()`` is their place, for messages."""

    def __init__(self, content: bytes, place: str) -> None:
        super().__init__(content)
        self.place = place

    def __str__(self) -> str:
        return self.place


def _cells(folder: Path, spec: DataSpec) -> Iterator[_Cell]:
    features = _features(folder)
    image, label = _column("image", features, folder, spec), _column("label", features, folder, spec)
    split, group = _found("split", features, folder, spec), _found("group", features, folder, spec)
    classes, row = features[label].get("names"), 0
    for entry in _json(folder / STATE)["_data_files"]:
        file = folder / entry["filename"]
        try:
            with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
                table = stream.read_all()
            images, codes = table.column(image), table.column(label).to_pylist()
            splits, people = (_texts(table, name, features) for name in (split, group))
        except (OSError, pa.ArrowException, KeyError) as error:
            msg = f"{file}: a file of the data set must be readable, got '{error}'; save it again"
            raise DataError(msg) from None
        for i, (cell, code) in enumerate(zip(images, codes, strict=True)):
            label_name = _name(code, classes, f"{folder}, row {row}")
            person = people[i] if people else None
            yield _Cell(row=row, image=cell, label=label_name, split=splits[i] if splits else "", group=person)
            row += 1


def _texts(table: pa.Table, column: str | None, features: dict[str, Any]) -> list[str]:
    """Return a column as text, nothing without one; an empty cell is an empty text."""
    if column is None:
        return []
    named = features[column].get("names") if isinstance(features[column], dict) else None
    cells = table.column(column).to_pylist()
    if named:
        cells = [named[cell] if isinstance(cell, int) and 0 <= cell < len(named) else None for cell in cells]
    return ["" if cell is None else str(cell) for cell in cells]


def _image(cell: pa.Scalar, folder: Path, place: str, spec: DataSpec) -> np.ndarray:
    value = cell.as_py()
    content = value.get("bytes") if isinstance(value, dict) else None
    if content:
        return read_image(_Bytes(content, place), spec.size, spec.channels)
    name = value.get("path") if isinstance(value, dict) else value
    if not isinstance(name, str):
        msg = f"{place}: an image must be its bytes or a path, got {str(value)[:40]}; name its column as image_column"
        raise DataError(msg)
    return read_image(folder / name, spec.size, spec.channels)


def _name(code: Any, classes: list[str] | None, place: str) -> str:
    if classes is None or isinstance(code, str):
        name = "" if code is None else str(code)
        if not name.strip():
            msg = f"{place}: every image needs a label, got none; name its class or drop the row"
            raise DataError(msg)
        return name
    if not (isinstance(code, int) and 0 <= code < len(classes)):
        msg = f"{place}: a label must be from 0 to {len(classes) - 1}, got {code}; label the image or drop its row"
        raise DataError(msg)
    return classes[code]


def _column(use: str, features: dict[str, Any], folder: Path, spec: DataSpec) -> str:
    """Return the column of images or labels: the given one, else the one of its type, else one of a usual name."""
    given = spec.image_column if use == "image" else spec.label_column
    kind = {"image": "Image", "label": "ClassLabel"}[use]
    typed = [name for name, feature in features.items() if isinstance(feature, dict) and feature.get("_type") == kind]
    found = ([given] if given != "auto" else typed or [n for n in USUAL[use] if n in features])[:1]
    if not found or found[0] not in features:
        raise _no_column(use, features, folder)
    return found[0]


def _no_column(use: str, features: dict[str, Any], folder: Path) -> DataError:
    got = ", ".join(features)[:200]
    return DataError(f"{folder}: there must be a column of {use}s, got {got}; set {use}_column in [data]")


def _found(use: str, features: dict[str, Any], folder: Path, spec: DataSpec) -> str | None:
    """Return the column of splits or groups, None where there is none or it is left aside."""
    given, found = getattr(spec, f"{use}_column"), by_name(list(features), spec)[use]
    if found is None and given not in {"auto", ""}:
        raise _no_column(use, features, folder)
    own = use == "split" and given == "auto" and (folder.parent / DICTIONARY).is_file()
    return None if own else found


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: a file of the data set must be readable, got '{error}'; save it again"
        raise DataError(msg) from None
