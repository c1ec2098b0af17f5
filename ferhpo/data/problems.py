"""What may be wrong with single images: each problem a list of groups of rows, for tables, JSON and contact sheets."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ferhpo.data.raw import RawData
from ferhpo.data.splits import groups, is_blank, near_groups

FAR = 3.5  # robust standard deviations from the median, from which brightness is an outlier (Iglewicz and Hoaglin 1993)
SMALL = 0.5  # of the median shorter side, below which an image file is small
SLIM = 2.0  # longer over shorter side, from which an image file is no portrait of a face


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One kind of fault.

    Args:
        name: short, for JSON.
        title: one line for people.
        rows: groups of rows that show it together (duplicates), or rows one by one; the worst first.
    """

    name: str
    title: str
    rows: tuple[tuple[int, ...], ...]

    @property
    def count(self) -> int:
        """Rows that are concerned."""
        return sum(map(len, self.rows))


def problems(raw: RawData) -> list[Problem]:
    """Return every kind of fault that is looked for, those without rows too."""
    same = groups(raw.images)
    near = near_groups(raw.images, same)
    blank = is_blank(raw.images)
    identical = _together(same)
    conflicting = [rows for rows in identical if len(set(raw.labels[list(rows)].tolist())) > 1]
    leaks = [rows for rows in identical if len(set(raw.part[list(rows)].tolist())) > 1]
    alike = [rows for rows in _together(near) if len(set(same[list(rows)].tolist())) > 1]
    found = [
        ("duplicates", "identical images", identical),
        ("leaks", "identical images in several splits", leaks),
        ("conflicts", "identical images with several labels", conflicting),
        ("near_duplicates", "nearly the same image", alike),
        (
            "near_leaks",
            "nearly the same image in several splits",
            [rows for rows in alike if len(set(raw.part[list(rows)].tolist())) > 1],
        ),
        ("blank", "one single colour", _single(np.flatnonzero(blank))),
        *_light(raw.images, blank),
        *_sizes(raw.files),
    ]
    return [Problem(name=name, title=title, rows=tuple(rows)) for name, title, rows in found]


def suspects(probs_nc: np.ndarray, labels_n: np.ndarray, rows_n: np.ndarray) -> Problem:
    """Return rows whose label is probably wrong, by probabilities of nets that were not trained on them.

    A row is suspected if another class than its label reaches the probability that rows of that class reach on
    average; the worst are those whose label falls furthest behind it.

    Args:
        probs_nc: float, rows x classes.
        labels_n: class index a row.
        rows_n: their places in the data.

    References:
        Northcutt et al. 2021, Confident Learning: Estimating Uncertainty in Dataset Labels, arXiv 1911.00068.
    """
    classes = np.arange(probs_nc.shape[1])
    usual_c = np.array([probs_nc[labels_n == c, c].mean() if (labels_n == c).any() else np.inf for c in classes])
    own_n = probs_nc[np.arange(len(labels_n)), labels_n]
    confident = np.where(probs_nc >= usual_c, probs_nc, -1.0)
    best_n = confident.argmax(1)
    margin_n = confident.max(1) - own_n
    suspected = np.flatnonzero((best_n != labels_n) & (confident.max(1) >= 0) & (margin_n > 0))
    worst = suspected[np.argsort(-margin_n[suspected], kind="stable")]
    return Problem(name="suspects", title="suspected wrong labels", rows=tuple(_single(rows_n[worst])))


def _single(rows: Iterable[int]) -> list[tuple[int, ...]]:
    return [(int(row),) for row in rows]


def _together(group: np.ndarray) -> list[tuple[int, ...]]:
    """Return the rows of each group of several, in the order of their first rows."""
    order = np.argsort(group, kind="stable")
    edges = np.flatnonzero(np.diff(group[order])) + 1
    several = [tuple(rows.tolist()) for rows in np.split(order, edges) if len(rows) > 1]
    return sorted(several)


def _light(images: np.ndarray, blank: np.ndarray) -> list[tuple[str, str, list[tuple[int, ...]]]]:
    """Return images that are much darker, brighter or flatter than the others; blank ones are not asked."""
    mean, spread = np.empty(len(images)), np.empty(len(images))
    for start in range(0, len(images), 1024):
        block = np.asarray(images[start : start + 1024], np.float32).reshape(-1, int(np.prod(images.shape[1:])))
        mean[start : start + 1024], spread[start : start + 1024] = block.mean(1), block.std(1)
    asked = np.flatnonzero(~blank)
    bright, flat = _far(mean[asked]), _far(np.log(np.maximum(spread[asked], 1e-3)))
    by_light, by_spread = asked[np.argsort(mean[asked], kind="stable")], asked[np.argsort(spread[asked], kind="stable")]
    kinds = (
        ("dark", "much darker than the others", by_light, asked[bright < -FAR]),
        ("bright", "much brighter than the others", by_light[::-1], asked[bright > FAR]),
        ("flat", "much less contrast than the others", by_spread, asked[flat < -FAR]),
    )
    return [(name, title, _single(order[np.isin(order, rows)])) for name, title, order, rows in kinds]


def _far(values: np.ndarray) -> np.ndarray:
    """Return the distance of each value from the median, in robust standard deviations."""
    if not len(values):
        return values
    off = values - np.median(values)
    return off / max(1.4826 * float(np.median(np.abs(off))), 1e-9)


def _sizes(files: tuple[Path, ...] | None) -> list[tuple[str, str, list[tuple[int, ...]]]]:
    """Return image files that are much smaller than the others, or far from square; only headers are read."""
    if files is None:
        return []
    sides = {file: _side(file) for file in set(files)}
    side = np.array([sides[file] for file in files], np.float64)
    short, ratio = side.min(1), side.max(1) / side.min(1)
    small, slim = np.flatnonzero(short < SMALL * np.median(short)), np.flatnonzero(ratio > SLIM)
    return [
        ("small", "image file much smaller than the others", _single(small[np.argsort(short[small], kind="stable")])),
        ("slim", "image file far from square", _single(slim[np.argsort(-ratio[slim], kind="stable")])),
    ]


def _side(file: Path) -> tuple[int, int]:
    with Image.open(file) as image:
        return image.size
