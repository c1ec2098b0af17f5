"""What is wrong with an image set, in numbers."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ferhpo.data.problems import Problem
from ferhpo.data.raw import RawData, counts, parts

WHOLE = "all"  # the name of a set that brings no splits


def inspect(raw: RawData, found: Sequence[Problem]) -> dict[str, Any]:
    """Return rows per split and class, imbalance, leaks between splits, and what is wrong with which rows.

    Args:
        raw: the data as read, before `splits.assign` moves or drops anything.
        found: its `problems`.

    Returns:
        Plain values, ready for JSON: ``splits`` (the data's own: rows, counts per class), ``imbalance`` (largest class
        over smallest), ``duplicates`` (rows beyond the first of each identical group), ``cross_split_duplicates``
        ("A-B": rows of B whose image stands in A), ``cross_split_near_duplicates`` (the same for images that are
        nearly the same, identical ones left out), ``cross_split_groups`` (rows of B whose person, or other group,
        stands in A; nothing where no groups are known), ``conflicting_labels`` and ``near_duplicates`` (groups),
        ``blank_images`` (rows), ``left_out`` (images that were not read, by why), ``rows``, ``unique_images``,
        ``duplicate_groups``, ``classes``, ``size``, ``channels``, and ``problems``: name -> rows, counted from 0, in
        groups.
    """
    by_name = {problem.name: problem for problem in found}
    names = parts(raw)
    identical = by_name["duplicates"].rows
    copies = sum(len(rows) - 1 for rows in identical)
    twice, nearly = (_across(raw, _place(raw, by_name[name].rows), names) for name in ("duplicates", "near_duplicates"))
    people = {} if raw.group is None else _across(raw, raw.group, names)
    of_class = np.bincount(raw.labels, minlength=len(raw.classes))
    return {
        "rows": len(raw.labels),
        "classes": list(raw.classes),
        "size": raw.images.shape[1],
        "channels": raw.images.shape[-1],
        "splits": {name or WHOLE: _rows(raw, raw.part == name) for name in names},
        "imbalance": round(float(of_class.max() / max(of_class.min(), 1)), 2),
        "unique_images": len(raw.labels) - copies,
        "duplicate_groups": len(identical),
        "duplicates": copies,
        "cross_split_duplicates": {pair: len(rows) for pair, rows in twice.items()},
        "cross_split_groups": {pair: len(rows) for pair, rows in people.items()},
        "near_duplicates": len(by_name["near_duplicates"].rows),
        "cross_split_near_duplicates": {pair: len(np.setdiff1d(rows, twice[pair])) for pair, rows in nearly.items()},
        "conflicting_labels": len(by_name["conflicts"].rows),
        "blank_images": by_name["blank"].count,
        "left_out": dict(raw.left_out),
        "problems": {name: [list(rows) for rows in problem.rows] for name, problem in by_name.items()},
    }


def _rows(raw: RawData, rows: np.ndarray) -> dict[str, Any]:
    return {"rows": int(rows.sum()), "counts": counts(raw, rows)}


def _place(raw: RawData, found: Sequence[Sequence[int]]) -> np.ndarray:
    """Return the number of each row's group, -1 where it is in none."""
    place = np.full(len(raw.labels), -1)
    for number, rows in enumerate(found):
        place[list(rows)] = number
    return place


def _across(raw: RawData, place: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return, for "A-B", the rows of B that stand in a group with a row of A."""
    held = {name: np.flatnonzero((raw.part == name) & (place >= 0)) for name in names}
    return {f"{a}-{b}": held[b][np.isin(place[held[b]], place[held[a]])] for a, b in combinations(names, 2)}
