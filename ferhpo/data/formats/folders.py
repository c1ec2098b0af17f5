"""Class folders: train/, val/, test/ with one folder a class in each, or one tree of class folders.

Known layouts:
    ROOT/train/happy/x.png, ROOT/valid/happy/y.jpg, ...           each split as it is
    ROOT/train/..., ROOT/test/happy/PublicTest_1.png, .../PrivateTest_2.png   Kaggle's: the prefix splits test in two
    ROOT/happy/x.png, ROOT/sad/y.png, ...                         one tree, without splits
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ferhpo.data.listing import EXTENSIONS, Listing, decode, fitting, listing
from ferhpo.data.raw import ROLES, RawData
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec

PREFIXES = ("PublicTest", "PrivateTest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An image file: its path below the root with ``/`` between, its size in bytes, its time of change."""

    name: str
    size: int
    mtime_ns: int


def scan(root: Path, *, every: bool = False) -> list[Found]:
    """Return the image files below ``root`` by name, or every file; hidden files and folders are left out.

    Raises:
        DataError: a folder cannot be read.
    """
    try:
        return sorted(_walk(str(root), "", ("",) if every else EXTENSIONS), key=lambda found: found.name)
    except OSError as error:
        msg = f"{error.filename or root}: a folder of images must be readable ({error.strerror}); check the path"
        raise DataError(msg) from None


def _walk(folder: str, prefix: str, endings: tuple[str, ...]) -> Iterator[Found]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(entry.path, f"{prefix}{entry.name}/", endings)
            elif entry.name.lower().endswith(endings):
                stat = entry.stat()
                yield Found(name=prefix + entry.name, size=stat.st_size, mtime_ns=stat.st_mtime_ns)


def find(path: Path) -> Listing:
    """List class folders; class names decide the labels, never their alphabetical place.

    Expressions and their aliases (anger, happiness, ...) get FER-2013's order, other names are sorted.

    Raises:
        DataError: there are no class folders.
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
    return listing([path.joinpath(*row) for row in rows], [row[1] for row in rows], _parts(rows))


def read(path: Path, spec: DataSpec) -> RawData:
    """Read what `find` finds; raises as it does, and DataError for an image that cannot be read, with its path."""
    return decode(find(path), spec)


def _is_split(name: str) -> bool:
    return name.lower() in ROLES


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
    tables = [p.name for p in fitting(path, "*.csv")]
    if tables:
        return f"{rule}, got {tables[0]}; give the path of that file"
    inside = sorted(p.name for p in path.iterdir() if not p.name.startswith("."))
    return f"{rule}, got {', '.join(inside[:5]) or 'an empty folder'}; check the path"
