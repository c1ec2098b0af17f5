"""A Hugging Face data set as ``save_to_disk`` leaves it; read with Arrow, so that ``datasets`` need not be installed.

    ROOT/dataset_dict.json {"splits": ["train", "test"]}, ROOT/train/..., ROOT/test/...    or ROOT itself one split
    SPLIT/state.json, SPLIT/dataset_info.json, SPLIT/data-00000-of-00001.arrow

The image column is of type Image (its bytes, or a path from SPLIT), the label column a ClassLabel, whose names count,
or text. Columns are found by type and usual name, or given in the study file.
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
from ferhpo.data.formats.table import USUAL
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
        DataError: a file is damaged, there is no image or label column, or an image cannot be read.
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
    parts = [names.split_name(split, str(path)) for split, _ in rows]
    return RawData(images=images, labels=codes, classes=classes, part=np.array(parts, dtype=str))


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
    """One row of a split: its number, its image (which Arrow has mapped, not read) and its class."""

    row: int
    image: pa.Scalar
    label: str


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
    classes, row = features[label].get("names"), 0
    for entry in _json(folder / STATE)["_data_files"]:
        file = folder / entry["filename"]
        try:
            with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
                table = stream.read_all()
            images, codes = table.column(image), table.column(label).to_pylist()
        except (OSError, pa.ArrowException, KeyError) as error:
            msg = f"{file}: a file of the data set must be readable, got '{error}'; save it again"
            raise DataError(msg) from None
        for cell, code in zip(images, codes, strict=True):
            yield _Cell(row=row, image=cell, label=_name(code, classes, f"{folder}, row {row}"))
            row += 1


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
        msg = f"{folder}: there must be a column of {use}s, got {', '.join(features)[:200]}; set {use}_column in [data]"
        raise DataError(msg)
    return found[0]


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: a file of the data set must be readable, got '{error}'; save it again"
        raise DataError(msg) from None
