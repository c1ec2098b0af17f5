"""Image files with labels, before any of them is decoded: what a format of files finds.

A format only reads names and annotations; `decode` is the one place where image files become arrays, so a set may be
decoded whole or, with `Listing.only`, part by part.
"""

import os
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np

from ferhpo.data import names
from ferhpo.data.pixels import new_images
from ferhpo.data.raw import RawData, read_image
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec

EXTENSIONS = (".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
PIECE = 4096  # images that are given to the threads at a time
LONGEST = 400  # characters of a path in a message
FARTHEST = 2**31  # pixels from the corner; no image reaches that far
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Image files with labels.

    Args:
        files: one a row; a file may occur in several rows, with a box each.
        labels: int64, rows, index into classes.
        classes: names in canonical order.
        part: unicode, rows, the data's own split name, "" where there is none.
        group: int64, rows, equal for rows that belong together (one person, one photograph), None where unknown.
        boxes: int64, rows x 4 (left, top, right, bottom), the part of the image that is the face; None for all of it.
        left_out: images that are not in the list, by why.
    """

    files: tuple[Path, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    part: np.ndarray
    group: np.ndarray | None = None
    boxes: np.ndarray | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)

    def only(self, rows: np.ndarray) -> Self:
        """Return some of the rows, given by place."""
        return replace(
            self,
            files=tuple(self.files[i] for i in rows),
            labels=self.labels[rows],
            part=self.part[rows],
            group=None if self.group is None else self.group[rows],
            boxes=None if self.boxes is None else self.boxes[rows],
        )


def box(left: int, top: int, right: int, bottom: int) -> Box:
    """Return the sides of a face's box in pixels.

    Raises:
        ValueError: one lies where no image can be.
    """
    if max(map(abs, (left, top, right, bottom))) > FARTHEST:
        msg = f"a side must be at most {FARTHEST} pixels away"
        raise ValueError(msg)
    return left, top, right, bottom


def listing(
    files: Iterable[Path],
    labels: Iterable[str],
    part: Iterable[str] | str = "",
    *,
    group: Iterable[str] | None = None,
    boxes: Iterable[Box] | None = None,
) -> Listing:
    """Return a listing from class names a row; ``group`` may be any text, equal for rows that belong together."""
    paths, labelled = tuple(files), list(labels)
    codes, classes = names.encode(labelled)
    parts = [part] * len(paths) if isinstance(part, str) else list(part)
    return Listing(
        files=paths,
        labels=codes,
        classes=classes,
        part=np.array(parts, dtype=str),
        group=None if group is None else np.unique(list(group), return_inverse=True)[1].astype(np.int64),
        boxes=None if boxes is None else np.array(list(boxes), np.int64).reshape(-1, 4),
    )


def decode(found: Listing, spec: DataSpec) -> RawData:
    """Read every image of a listing.

    Raises:
        DataError: an image is missing or damaged, or a box lies outside; the message has the path.
    """
    images = new_images(len(found.files), spec.size, spec.channels)

    def fill(row: int) -> None:
        box = None if found.boxes is None else _box(found.boxes[row])
        images[row] = read_image(found.files[row], spec.size, spec.channels, box)

    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        for start in range(0, len(images), PIECE):
            deque(pool.map(fill, range(start, min(start + PIECE, len(images)))), maxlen=0)
    return RawData(
        images=images,
        labels=found.labels,
        classes=found.classes,
        part=found.part,
        group=found.group,
        files=found.files,
        left_out=found.left_out,
    )


def _box(row: np.ndarray) -> Box:
    left, top, right, bottom = row.tolist()
    return left, top, right, bottom


def missing(files: Iterable[Path], of: str) -> None:
    """Refuse annotations whose image is not there.

    Raises:
        DataError: with the first such image and their number.
    """
    # Path.is_file() raises where the text is no possible name, such as pixels in the column of images
    gone = [str(file) for file in files if not os.path.isfile(file)]  # noqa: PTH113
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        got = f"none at {gone[0][:LONGEST]}{more}"
        msg = f"{of}: every annotation needs its image, got {got}; add the files or delete the rows"
        raise DataError(msg)


def unlabelled(folders: Iterable[Path], files: Iterable[Path], of: str) -> None:
    """Refuse images of ``folders`` that no annotation names.

    Raises:
        DataError: with the first such image and their number.
    """
    known = set(files)
    extra = sorted(
        file
        for folder in folders
        if folder.is_dir()
        for file in folder.iterdir()
        if is_image(file) and file not in known
    )
    if extra:
        more = f" and {len(extra) - 1} more" if len(extra) > 1 else ""
        msg = f"{of}: every image needs its annotation, got none for {extra[0]}{more}; add it or take the image out"
        raise DataError(msg)


def is_image(file: Path) -> bool:
    """Tell whether a file is an image by its name; a hidden one, as macOS leaves beside each file, is none."""
    return file.suffix.lower() in EXTENSIONS and not file.name.startswith(".")


def fitting(folder: Path, pattern: str) -> list[Path]:
    """Return the files below a folder that fit a pattern, by name, hidden ones left out."""
    return sorted(file for file in folder.glob(pattern) if not file.name.startswith("."))
