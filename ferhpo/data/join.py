"""Sets side by side: classes kept by name, and several sets joined into one over their common classes."""

from dataclasses import replace

import numpy as np

from ferhpo.data import names
from ferhpo.data.pixels import new_images
from ferhpo.data.raw import RawData, role
from ferhpo.data.splits import NAMES, TRAIN, assign
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec

BLOCK = 1024  # images that are copied at a time


def with_classes(raw: RawData, classes: tuple[str, ...]) -> RawData:
    """Return the rows of ``classes``, with labels in that order.

    Soft labels keep the shares of these classes, scaled to sum to 1.
    """
    if classes == raw.classes:
        return raw
    place = np.array([classes.index(name) if name in classes else -1 for name in raw.classes], np.int64)
    labels = place[raw.labels]
    rows = np.flatnonzero(labels >= 0)
    kept = taken(raw, rows)
    soft = None if raw.soft is None else raw.soft[rows][:, [raw.classes.index(name) for name in classes]]
    if soft is not None:
        soft = soft / soft.sum(1, keepdims=True)
    return replace(kept, labels=labels[rows], classes=classes, soft=soft)


def taken(raw: RawData, rows: np.ndarray) -> RawData:
    """Return some rows, given by place."""
    return replace(
        raw,
        images=copied([raw.images], [rows]),
        labels=raw.labels[rows],
        part=raw.part[rows],
        group=None if raw.group is None else raw.group[rows],
        soft=None if raw.soft is None else raw.soft[rows],
        files=None if raw.files is None else tuple(raw.files[i] for i in rows),
    )


def copied(images: list[np.ndarray], rows: list[np.ndarray]) -> np.ndarray:
    """Return rows of several arrays of images as one, made where the images of a set are kept."""
    made = new_images(sum(map(len, rows)), images[0].shape[1], images[0].shape[-1])
    end = 0
    for array, wanted in zip(images, rows, strict=True):
        for start in range(0, len(wanted), BLOCK):
            block = array[wanted[start : start + BLOCK]]
            made[end : end + len(block)] = block
            end += len(block)
    return made


def joined(sets: list[RawData], spec: DataSpec) -> RawData:
    """Join sets over their common classes: all of them train, the first alone validates and tests.

    A class may be called by an alias in another set. Of the others the training rows are taken, all that they call so,
    else those of the split they would get; what validates and tests there stays out, so that it may still test what was
    trained here.

    Raises:
        DataError: the sets have fewer than two classes in common, or one cannot be split.
    """
    sets = [sets[0], *(replace(raw, classes=names.called(raw.classes, sets[0].classes)) for raw in sets[1:])]
    classes = names.common(*(raw.classes for raw in sets))
    if len(classes) < 2:
        have = " and ".join(", ".join(raw.classes)[:120] for raw in sets)
        msg = f"sets that are joined must have at least 2 classes in common, got {have}; leave one out"
        raise DataError(msg)
    other = sum(int((~np.isin(np.array(raw.classes)[raw.labels], classes)).sum()) for raw in sets)
    first, *others = (_with_roles(with_classes(raw, classes), spec, whole=i == 0) for i, raw in enumerate(sets))
    every = [first, *others]
    files = [raw.files for raw in every if raw.files is not None]
    return RawData(
        images=copied([raw.images for raw in every], [np.arange(len(raw.labels)) for raw in every]),
        labels=np.concatenate([raw.labels for raw in every]),
        classes=classes,
        part=np.concatenate([raw.part for raw in every]),
        group=_numbered(every),
        soft=np.concatenate([soft_of(raw) for raw in every]) if any(raw.soft is not None for raw in every) else None,
        files=sum(files, ()) if len(files) == len(every) else None,
        left_out={why: sum(raw.left_out.get(why, 0) for raw in every) for raw in every for why in raw.left_out}
        | ({"not_in_common": other} if other else {}),
    )


def soft_of(raw: RawData) -> np.ndarray:
    """Return the soft labels, float32, rows x classes: 1 for the label where nobody disagreed."""
    return np.eye(len(raw.classes), dtype=np.float32)[raw.labels] if raw.soft is None else raw.soft


def _with_roles(raw: RawData, spec: DataSpec, *, whole: bool) -> RawData:
    """Return the rows of a set, or those that train, under the split they have when it stands alone."""
    split = assign(raw, replace(spec, drop_blank=False, drop_leaks=False), trains=not whole).split
    part = np.array([role(str(name)) for name in raw.part])  # a dropped row is dropped, and counted, once more
    for name, code in NAMES.items():
        part[split == code] = name
    raw = replace(raw, part=part)
    return raw if whole else taken(raw, np.flatnonzero(split == TRAIN))


def _numbered(sets: list[RawData]) -> np.ndarray | None:
    """Return groups that no two sets share; a row of a set without groups is one of its own."""
    if all(raw.group is None for raw in sets):
        return None
    numbers, start = [], 0
    for raw in sets:
        own = np.arange(len(raw.labels)) if raw.group is None else np.unique(raw.group, return_inverse=True)[1]
        numbers.append(own + start)
        start += len(raw.labels)
    return np.concatenate(numbers).astype(np.int64)
