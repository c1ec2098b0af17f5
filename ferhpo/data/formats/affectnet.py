"""AffectNet: the release in small crops with npy annotations, and the full one with csv files.

    {train_set,val_set}/images/N.jpg and annotations/N_exp.npy (a number, or a text of it)

    training.csv, validation.csv, Manually_Annotated_Images/DIR/HASH.jpg; columns subDirectory_filePath, face_x, face_y,
    face_width, face_height, facial_landmarks, expression, valence, arousal; the face is cut out

    {train,val,test}/{0..7}/*.jpg     with format = "affectnet" alone: the numbers do not say whose they are

Codes 8 to 10 (none, uncertain, no face) are left out. All 8 classes are read; for 7, name the others in ``classes``.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ferhpo.data.formats import folders
from ferhpo.data.formats.annotations import label_of, records
from ferhpo.data.listing import Box, Listing, box, decode, fitting, listing, missing, unlabelled
from ferhpo.data.raw import ROLES, RawData
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec

EXPRESSIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
NO_EXPRESSION = ("none", "uncertain", "no face")  # codes 8 to 10
NAMES = {str(code): name for code, name in enumerate((*EXPRESSIONS, *NO_EXPRESSION))}
SETS = {"train_set": "train", "val_set": "val"}
TABLES = {"training.csv": "train", "validation.csv": "val"}
IMAGES = "Manually_Annotated_Images"
BOX = ("face_x", "face_y", "face_width", "face_height")
COLUMNS = ("subDirectory_filePath", "expression", *BOX)
Row = tuple[Path, str, str, Box | None]  # image, class, split, face


def matches(path: Path) -> bool:
    """Tell whether ``path`` is a folder of either release."""
    return any((path / name / "annotations").is_dir() for name in SETS) or bool(_tables(path))


def find(path: Path) -> Listing:
    """List the images with an expression.

    Raises:
        DataError: an annotation breaks a rule, has no image, or an image has none.
    """
    if any((path / name).is_dir() for name in SETS):
        rows = list(_crops(path))
    elif _tables(path):
        rows = list(_whole(path))
    else:
        rows = list(_numbered(path))
    rows = [row for row in rows if row[1] not in NO_EXPRESSION]
    if not rows:
        msg = f"{path}: AffectNet must have images with an expression, got none; unpack it again"
        raise DataError(msg)
    files, names, parts, boxes = zip(*rows, strict=True)
    missing(files, str(path))
    return listing(files, names, parts, boxes=None if boxes[0] is None else boxes)


def read(path: Path, spec: DataSpec) -> RawData:
    """Read what `find` finds; raises as it does."""
    return decode(find(path), spec)


def _tables(path: Path) -> list[Path]:
    return [path / name for name in TABLES if (path / name).is_file()]


def _crops(path: Path) -> Iterable[Row]:
    for name, part in SETS.items():
        annotated = fitting(path / name / "annotations", "*_exp.npy")
        images = path / name / "images"
        files = [images / f"{file.name.removesuffix('_exp.npy')}.jpg" for file in annotated]
        unlabelled({images}, files, str(path))
        for annotation, file in zip(annotated, files, strict=True):
            yield file, _expression(annotation), part, None


def _expression(path: Path) -> str:
    try:
        code = str(int(np.load(path, allow_pickle=False)))
    except (OSError, ValueError, TypeError, EOFError, OverflowError) as error:
        msg = f"{path}: an annotation must hold a whole number, got '{error}'; copy the file again"
        raise DataError(msg) from None
    return label_of(code, NAMES, path, 1)


def _whole(path: Path) -> Iterable[Row]:
    images = path / IMAGES if (path / IMAGES).is_dir() else path
    for table in _tables(path):
        for number, row in records(table, COLUMNS):
            name = label_of(row["expression"], NAMES, table, number)
            if name not in NO_EXPRESSION:
                yield images / row["subDirectory_filePath"], name, TABLES[table.name], _box(row, table, number)


def _box(row: dict[str, str], table: Path, number: int) -> Box:
    try:
        left, top, width, height = (int(float(row[name])) for name in BOX)
        return box(left, top, left + width, top + height)
    except (ValueError, OverflowError):  # int() of inf
        msg = f"{table}:{number}: a face must have four numbers in {', '.join(BOX)}, got others; correct the line"
        raise DataError(msg) from None


def _numbered(path: Path) -> Iterable[Row]:
    for found in folders.scan(path):
        part, _, rest = found.name.partition("/")
        code, _, name = rest.partition("/")
        if part.lower() in ROLES and name:
            yield path / found.name, label_of(code, NAMES, path / part, 1), part, None
