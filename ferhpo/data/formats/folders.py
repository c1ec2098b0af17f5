"""Class folders: train/, val/, test/ with one folder a class in each, or one tree of class folders.

Known layouts:
    ROOT/train/happy/x.png, ROOT/valid/happy/y.jpg, ...           each split as it is
    ROOT/train/..., ROOT/test/happy/PublicTest_1.png, .../PrivateTest_2.png   Kaggle's: the prefix splits test in two
    ROOT/happy/x.png, ROOT/sad/y.png, ...                         one tree, without splits
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ferhpo.data.raw import EXPRESSIONS, ROLES, RawData, read_image
from ferhpo.errors import DataError
from ferhpo.space.spec import DataSpec

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
CANONICAL = (*EXPRESSIONS, "contempt")
ALIASES = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "natural": "neutral",
}
PREFIXES = ("PublicTest", "PrivateTest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An image file: its path below the root with ``/`` between, its size in bytes, its time of change."""

    name: str
    size: int
    mtime_ns: int


def scan(root: Path) -> list[Found]:
    """Return the image files below ``root`` by name; hidden files and folders are left out.

    Raises:
        DataError: a folder cannot be read.
    """
    try:
        return sorted(_walk(str(root), ""), key=lambda found: found.name)
    except OSError as error:
        msg = f"{error.filename or root}: a folder of images must be readable ({error.strerror}); check the path"
        raise DataError(msg) from None


def _walk(folder: str, prefix: str) -> Iterator[Found]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            elif entry.name.lower().endswith(EXTENSIONS):
                stat = entry.stat()
                yield Found(name=prefix + entry.name, size=stat.st_size, mtime_ns=stat.st_mtime_ns)


def read(path: Path, spec: DataSpec) -> RawData:
    """Read class folders; class names decide the labels, never their alphabetical place.

    Expressions and their aliases (anger, happiness, ...) get FER-2013's order, other names are sorted.

    Raises:
        DataError: there are no class folders, or an image cannot be read; the message has its path.
    """
    rows = [row for found in scan(path) if (row := found.name.split("/"))]
    has_splits = any(_is_split(row[0]) for row in rows if len(row) > 2)
    if has_splits:
        rows = [row for row in rows if len(row) > 2 and _is_split(row[0])]
    else:
        rows = [["", *row] for row in rows if len(row) > 1 and not _is_split(row[0])]
    if not rows:
        raise DataError(_no_classes(path))
    deeper = next((row for row in rows if not has_splits and len(row) > 3 and _is_split(row[2])), None)
    if deeper:
        _, top, split, *_ = deeper
        msg = f"{path}: the folders in it must be splits or classes, got {top}/{split}/; give the path {path / top}"
        raise DataError(msg)
    labels, classes = _labels([row[1] for row in rows])
    files = [path.joinpath(*row) for row in rows]
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        images = list(pool.map(partial(read_image, size=spec.size, channels=spec.channels), files))
    return RawData(images=np.stack(images), labels=labels, classes=classes, part=np.array(_parts(rows)))


def _is_split(name: str) -> bool:
    return name.lower() in ROLES


def _labels(names: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the label of each row and the classes, from the names of the class folders."""
    canonical = {name: ALIASES.get(name.lower(), name.lower()) for name in set(names)}
    if set(canonical.values()) <= set(CANONICAL):
        classes = tuple(name for name in CANONICAL if name in canonical.values())
    else:
        canonical = {name: name for name in canonical}
        classes = tuple(sorted(canonical))
    code = {name: classes.index(to) for name, to in canonical.items()}
    return np.array([code[name] for name in names], np.int64), classes


def _parts(rows: list[list[str]]) -> list[str]:
    """Return each row's split name: its top folder, or Kaggle's prefix where the test folder is two splits."""
    names = [row[0] for row in rows]
    if any(ROLES[name.lower()] == "val" for name in set(names)):
        return names
    in_test = {i: rows[i][-1].split("_")[0] for i, name in enumerate(names) if ROLES[name.lower()] == "test"}
    if set(PREFIXES) <= set(in_test.values()):
        for i, prefix in in_test.items():
            if prefix in PREFIXES:
                names[i] = prefix
    return names


def _no_classes(path: Path) -> str:
    kinds = ", ".join(EXTENSIONS)
    rule = f"{path}: there must be a folder a class with {kinds} files, in train/, val/, test/ or directly"
    tables = sorted(p.name for p in path.glob("*.csv"))
    if tables:
        return f"{rule}, got {tables[0]}; give the path of that file"
    inside = sorted(p.name for p in path.iterdir() if not p.name.startswith("."))
    return f"{rule}, got {', '.join(inside[:5]) or 'an empty folder'}; check the path"
