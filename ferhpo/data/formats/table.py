"""Any csv of paths and labels: one row an image, columns found by their usual names or given in the study file.

    file,label,split,subject
    faces/1.png,happy,train,S1

Paths are relative to the csv, or to ``images`` of [data]. Labels are names; numbers stay names of their own, since
nothing says what they stand for.
"""

import csv
from pathlib import Path

from ferhpo.data.formats.annotations import rows
from ferhpo.data.listing import Listing, decode, listing, missing
from ferhpo.data.names import split_name
from ferhpo.data.raw import RawData
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec

USUAL = {  # what a column is for -> its usual names, in lower case
    "image": (
        "image",
        "img",
        "file",
        "filename",
        "file_name",
        "image_name",
        "path",
        "filepath",
        "image_path",
        "img_path",
    ),
    "label": ("label", "labels", "emotion", "expression", "class", "target", "category"),
    "split": ("split", "usage", "set", "subset", "partition"),
    "group": ("group", "subject", "subject_id", "person", "person_id", "identity"),
}
NEEDED = ("image", "label")


def matches(names: list[str], spec: DataSpec) -> bool:
    """Tell whether a csv with these columns has one of images and one of labels."""
    found = columns(names, spec)
    return all(found[use] is not None for use in NEEDED)


def header(path: Path) -> list[str]:
    """Return the column names of a csv, none where the first line is no text."""
    try:
        with path.open("rb") as file:
            first = b"".join(file.read(4096).splitlines()[:1]).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return []
    return [name.strip() for name in next(csv.reader([first.replace("\0", "")]), [])]


def columns(names: list[str], spec: DataSpec) -> dict[str, str | None]:
    """Return the column of each use: the one that the study file names, else one of a usual name, else None."""
    by_lower = {name.lower(): name for name in reversed(names)}
    found: dict[str, str | None] = {}
    for use, usual in USUAL.items():
        given = getattr(spec, f"{use}_column")
        if given == "auto":
            found[use] = next((by_lower[name] for name in usual if name in by_lower), None)
        else:
            found[use] = given if given and given in names else None  # a nameless column is none
    return found


def column_error(path: Path, use: str, names: list[str], spec: DataSpec) -> DataError:
    """Return what is said where a column that is needed or given is not there."""
    given = getattr(spec, f"{use}_column")
    wanted = f"like {', '.join(USUAL[use][:4])}" if given == "auto" else f"'{given}'"
    got = ", ".join(names)[:200] or "none"
    return DataError(f"{path}:1: there must be a column {wanted}, got {got}; set {use}_column in [data]")


def find(path: Path, spec: DataSpec) -> Listing:
    """List the images of a csv.

    Raises:
        DataError: a column is missing or there twice, an image is missing, a row is too short or no csv, a label
            empty, or a split unknown.
    """
    content = rows(path)
    names = [name.strip() for name in next(content, (1, []))[1]]
    found = columns(names, spec)
    for use, name in found.items():
        if name is None and (use in NEEDED or getattr(spec, f"{use}_column") not in {"auto", ""}):
            raise column_error(path, use, names, spec)
        if name is not None and names.count(name) > 1:
            msg = f"{path}:1: a column that is read must be there once, got '{name}' more often; rename the others"
            raise DataError(msg)
    base = path.parent if spec.images is None else Path(spec.images)
    values: dict[str, list[str]] = {use: [] for use, name in found.items() if name is not None}
    place = {use: names.index(name) for use, name in found.items() if name is not None}
    for number, row in content:
        if len(row) != len(names):
            msg = f"{path}:{number}: a row must have {len(names)} columns, got {len(row)}; correct it"
            raise DataError(msg)
        for use, i in place.items():
            values[use].append(row[i].strip())
        if not values["label"][-1]:
            msg = f"{path}:{number}: every image needs a label, got none; name its class or delete the row"
            raise DataError(msg)
        if "split" in place:
            split_name(values["split"][-1], f"{path}:{number}")
    if not values["image"]:
        msg = f"{path}:1: a csv must have rows below its header, got none; copy or download it again"
        raise DataError(msg)
    files = [base / name for name in values["image"]]
    missing(files, str(path))
    return listing(files, values["label"], values.get("split", ""), group=groups(values.get("group")))


def groups(names: list[str] | None) -> list[str] | None:
    """Return a group a row: where none is named, one of its own, which no name is, since none begins with a space."""
    return names and [name or f" {row}" for row, name in enumerate(names)]


def read(path: Path, spec: DataSpec) -> RawData:
    """Read what `find` finds; raises as it does."""
    return decode(find(path, spec), spec)
