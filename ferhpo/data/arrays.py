"""Images that a program holds as arrays: stored once under the root of the studies, then read as any other set."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferhpo import _atomic
from ferhpo.data import splits
from ferhpo.data.cache import open_prepared, store
from ferhpo.data.raw import ROLES, RawData, fingerprint
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec

NOTHING = {"None", "nan", "NaT", "<NA>"}  # how Python, NumPy and pandas write what stands for no value


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Labelled images in memory.

    Args:
        images: uint8, rows x height x width, or rows x height x width x 1 or 3 (grey or RGB), of any size; a study
            brings them to its own. Sequences, for a study with ``frames`` in [data]: rows x frames x height x width x 1
            or 3, at the study's size and channels.
        labels: one a row: class names, or whole numbers from 0.
        classes: names in the order of the labels; left out, the labels in ascending order.
        groups: one a row, equal for rows that must stay in one split (a person, a photograph); None where unknown, also
            of a single row, which is then alone, as with NaN or an empty text.
        split: one a row: train, val or test; None lets ferhpo split.
    """

    images: np.ndarray
    labels: Sequence[int] | Sequence[str] | np.ndarray
    classes: Sequence[str] | None = None
    groups: Sequence[int] | Sequence[str] | np.ndarray | None = None
    split: Sequence[str] | np.ndarray | None = None


def raw(given: Images) -> RawData:
    """Check arrays and return them as what a format's reader gives.

    Raises:
        DataError: one has another shape, type or content than `Images` says.
    """
    images = np.asarray(given.images)
    if images.dtype != np.uint8 or images.ndim not in (3, 4, 5) or (images.ndim > 3 and images.shape[-1] not in (1, 3)):
        got = f"{images.dtype} {images.shape}"
        msg = f"images must be uint8, rows (x frames) x height x width (x 1 or 3), got {got}; convert them"
        raise DataError(msg)
    if 0 in images.shape:
        msg = f"images must not be empty, got an array of shape {images.shape}; give some"
        raise DataError(msg)
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim == 5:  # the frames of a sample lie one after the other in its channels
        images = images.transpose(0, 2, 3, 1, 4).reshape(len(images), *images.shape[2:4], -1)
    labels, classes = _labels(*_column("labels", given.labels, len(images)), given.classes)
    split, _ = _column("split", [""] * len(images) if given.split is None else given.split, len(images))
    split = split.astype(str)
    unknown = sorted({part for part in np.unique(split).tolist() if part.lower() not in ROLES})
    if unknown:
        msg = f"split must say train, val or test, got '{unknown[0]}'; correct it"
        raise DataError(msg)
    groups = None if given.groups is None else _groups(*_column("groups", given.groups, len(images)))
    return RawData(images=images, labels=labels, classes=classes, part=split, group=groups)


def keep(given: Images, spec: DataSpec, cache: Path) -> Path:
    """Store arrays below ``cache`` and return the folder, which any study may read; what is there already is kept.

    Args:
        given: the images.
        spec: says which share validates and tests, where the images bring no split.
        cache: folder that holds all prepared sets.

    Raises:
        DataError: they break a rule, or cannot be stored.
    """
    found = raw(given)
    frames = given.images.shape[1] if np.ndim(given.images) == 5 else 1
    plain = DataSpec(val=spec.val, test=spec.test, size=spec.size, channels=spec.channels, frames=frames)
    key = hashlib.sha256(
        f"{splits.VERSION} {fingerprint(found)} {frames} {plain.val} {plain.test}".encode()
    ).hexdigest()[:20]
    folder = cache.resolve() / f"arrays-{key}"
    try:
        open_prepared(folder)
    except DataError:
        try:
            with _atomic.new_folder(folder) as part:
                store(part, found, plain, "arrays", None)
        except OSError as error:
            msg = f"{folder}: images must be stored there ({error.strerror or error}); choose another root"
            raise DataError(msg) from None
    return folder


def _column(name: str, values: object, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one value a row, objects of several kinds as text, and whether it is none: None, NaN or an empty text."""
    cells = np.asarray(values, dtype=object)  # as anything else NumPy writes a NaN beside texts as one of them
    if cells.shape != (rows,):
        msg = f"{name} must be one an image, {rows} in all, got shape {cells.shape}; give as many"
        raise DataError(msg)
    empty = [not cell.strip() if isinstance(cell, str) else str(cell) in NOTHING for cell in cells]
    column = np.array(cells.tolist())
    return column.astype(str) if column.dtype == object else column, np.array(empty)


def _groups(column: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """Return groups as numbers; a row without one is alone."""
    numbers = np.unique(column, return_inverse=True)[1].astype(np.int64)
    numbers[empty] = len(column) + np.flatnonzero(empty)
    return numbers


def _labels(labels: np.ndarray, empty: np.ndarray, classes: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels as places in the class names, and the names."""
    if empty.any():
        where = f"images[{empty.argmax()}]"
        msg = f"every image needs a label, got none for {where}; name its class or leave the image out"
        raise DataError(msg)
    if classes is None:
        names, index = np.unique(labels, return_inverse=True)
        return index.astype(np.int64), tuple(map(str, names.tolist()))
    names = tuple(map(str, classes))
    if len(set(names)) < len(names):
        msg = f"classes must differ, got {', '.join(names)}; name each once"
        raise DataError(msg)
    if np.issubdtype(labels.dtype, np.integer):
        wrong = labels[(labels < 0) | (labels >= len(names))]
        if len(wrong):
            msg = f"labels must be from 0 to {len(names) - 1} for {len(names)} classes, got {wrong[0]}; correct them"
            raise DataError(msg)
        return labels.astype(np.int64), names
    unknown = sorted(set(map(str, labels.tolist())) - set(names))
    if unknown:
        msg = f"labels must be among the classes ({', '.join(names)}), got '{unknown[0]}'; correct them"
        raise DataError(msg)
    return np.array([names.index(str(label)) for label in labels.tolist()], np.int64), names
