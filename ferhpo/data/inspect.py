"""What is wrong with an image set, in numbers."""

from itertools import combinations
from typing import Any

import numpy as np

from ferhpo.data.raw import RawData, parts
from ferhpo.data.splits import groups

WHOLE = "all"  # the name of a set that brings no splits


def inspect(raw: RawData) -> dict[str, Any]:
    """Return rows per split and class, duplicates, leaks between splits, label conflicts and blank images.

    Args:
        raw: the data as read, before `splits.assign` moves or drops anything.

    Returns:
        Plain values, ready for JSON: ``splits`` (the data's own: rows, counts per class), ``duplicates`` (rows beyond
        the first of each identical group), ``cross_split_duplicates`` ("A-B": rows of B whose image stands in A),
        ``conflicting_labels`` (groups with several labels), ``blank_images`` (rows of one single colour), and ``rows``,
        ``unique_images``, ``duplicate_groups``, ``classes``, ``size``, ``channels``.
    """
    group = groups(raw.images)
    sizes = np.bincount(group)
    names = parts(raw)
    first_label = np.zeros(len(sizes), np.int64)
    first_label[group] = raw.labels  # any one row's label of each group
    conflicting = np.unique(group[raw.labels != first_label[group]])
    flat = raw.images.reshape(len(raw.images), -1, raw.images.shape[-1])
    blank = (flat.max(1) == flat.min(1)).all(1)
    return {
        "rows": len(raw.labels),
        "classes": list(raw.classes),
        "size": raw.images.shape[1],
        "channels": raw.images.shape[-1],
        "splits": {name or WHOLE: _counts(raw, raw.part == name) for name in names},
        "unique_images": len(sizes),
        "duplicate_groups": int((sizes > 1).sum()),
        "duplicates": int((sizes - 1).sum()),
        "cross_split_duplicates": {
            f"{a}-{b}": int(np.isin(group[raw.part == b], group[raw.part == a]).sum())
            for a, b in combinations(names, 2)
        },
        "conflicting_labels": len(conflicting),
        "blank_images": int(blank.sum()),
    }


def _counts(raw: RawData, rows: np.ndarray) -> dict[str, Any]:
    counts = np.bincount(raw.labels[rows], minlength=len(raw.classes)).tolist()
    return {"rows": int(rows.sum()), "counts": dict(zip(raw.classes, counts, strict=True))}
