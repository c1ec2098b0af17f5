"""Class folders: train/, val/, test/ with one folder a class in each, or one tree of class folders.

Known layouts:
    ROOT/train/happy/x.png, ROOT/valid/happy/y.jpg, ...           each split as it is
    ROOT/train/..., ROOT/test/happy/PublicTest_1.png, .../PrivateTest_2.png   Kaggle's: the prefix splits test in two
    ROOT/happy/x.png, ROOT/sad/y.png, ...                         one tree, without splits
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
                try:
                    stat = entry.stat()
                except FileNotFoundError:  # a link to nothing, which whoever reads it names
                    stat = entry.stat(follow_symlinks=False)
                yield Found(name=prefix + entry.name, size=stat.st_size, mtime_ns=stat.st_mtime_ns)


def find(path: Path) -> Listing:
    """List class folders; class names decide the labels, never their alphabetical place.

    Expressions and their aliases (anger, happiness, ...) get FER-2013's order, other names are sorted. A top folder
    with the name of a split is one if there are class folders in it, else a class.

    Raises:
        DataError: there are no class folders, or the folders are not clearly splits or classes.
    """
    every = [found.name.split("/") for found in scan(path)]
    splits = sorted({row[0] for row in every if len(row) > 2 and _is_split(row[0])})
    if splits:
        _check_splits(path, every, splits)
        rows = [row for row in every if row[0] in splits]
    else:
        tops = _class_folders(every)
        rows = [["", *row] for row in every if len(row) > 1 and row[0] in tops]
    if not rows:
        raise DataError(_no_classes(path))
    deeper = next((row for row in rows if not splits and len(row) > 3 and _is_split(row[2])), None)
    if deeper:
        _, top, split, *_ = deeper
        msg = f"{path}: the folders in it must be splits or classes, got {top}/{split}/; give the path {path / top}"
        raise DataError(msg)
    if not splits and len({row[1] for row in rows}) == 1 and all(len(row) > 3 for row in rows):
        top = rows[0][1]
        msg = f"{path}: the folders in it must be splits or classes, got {top}/ alone, of folders; give {path / top}"
        raise DataError(msg)
    found = listing([path.joinpath(*row) for row in rows], [row[1] for row in rows], _parts(rows))
    unreadable = next((name for name in found.classes if any("\ud800" <= sign <= "\udfff" for sign in name)), None)
    if unreadable:
        msg = f"{path}: a class must have a name in UTF-8, got {unreadable!a}; rename the folder"
        raise DataError(msg)
    outside = len(every) - len(rows)
    return replace(found, left_out={"elsewhere": outside} if outside else {})


def read(path: Path, spec: DataSpec) -> RawData:
    """Read what `find` finds; raises as it does, and DataError for an image that cannot be read, with its path."""
    return decode(find(path), spec)


def _class_folders(every: list[list[str]]) -> set[str]:
    """Return the top folders of a tree without splits: one of them may be a class that is called like a split."""
    tops = {row[0] for row in every if len(row) > 1}
    named = set(filter(_is_split, tops))
    return set() if len(named) > 1 or named == tops else tops


def _check_splits(path: Path, every: list[list[str]], splits: list[str]) -> None:
    """Refuse split folders beside what may be meant as a class or as another split."""
    flat = next((row for row in every if len(row) == 2 and _is_split(row[0])), None)
    if flat:
        rule = f"{path}: the images of a split must be in folders by class"
        msg = f"{rule}, got {'/'.join(flat)} beside {splits[0]}/; sort them, or move the folder elsewhere"
        raise DataError(msg)
    others = sorted({row[0] for row in every if len(row) > 1 and row[0] not in splits})
    if others and len({ROLES[name.lower()] for name in splits}) == 1:
        rule = f"{path}: the folders in it must be splits or classes"
        got = f"{splits[0]}/, which has folders, beside {others[0]}/"
        msg = f"{rule}, got {got}; move what is neither elsewhere, or a class's images out of their subfolders"
        raise DataError(msg)


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
