"""FER+: what ten people voted on each image of FER-2013, ``fer2013new.csv`` (Barsoum et al. 2016, arXiv 1608.01041).

    Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF

The images are those of ``fer2013.csv`` beside it, or of the csv that ``images`` of [data] names. Rows belong together
by their place: the image names lag behind the row numbers, although they look like them.

Single votes count as mistakes and are left out. Then, as published:
    majority  the class with more than half of the votes; a row without one is left out
    soft      classes by votes, ties together, until they hold three quarters; their shares. A row is left out if they
              are more than three or hold half or less, or if nobody saw an expression
A row whose image name is blank (no face) is left out as well. Training on the shares with cross-entropy or on their KL
divergence follows the same gradient, since the two differ by the entropy of the shares.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ferhpo.data import names
from ferhpo.data.formats import fer2013
from ferhpo.data.formats.annotations import records
from ferhpo.data.join import taken
from ferhpo.data.raw import RawData
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec

EXPRESSIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
OTHER = ("unknown", "NF")
NEEDED = ("Usage", *EXPRESSIONS, *OTHER)  # columns
IMAGES = "fer2013.csv"
ENOUGH = 0.75  # share of the votes at which no further class is taken
MOST = 3  # classes
AGREE = 0.4  # of rows whose majority is FER-2013's label, at least: by chance about 1 in 6 agree
BLOCK = 500  # rows that are compared at a time, and the fewest


def matches(header: list[str]) -> bool:
    """Tell whether a csv with these columns holds the votes."""
    return set(NEEDED) <= set(header)


def read(path: Path, spec: DataSpec) -> RawData:
    """Read votes and images.

    Raises:
        DataError: one of the files breaks a rule, or they are not of the same rows.
    """
    images = path.with_name(IMAGES) if spec.images is None else Path(spec.images)
    if not images.is_file():
        msg = f"{path}: votes need the images of {IMAGES}, got none at {images}; put it there or set images in [data]"
        raise DataError(msg)
    usages, votes, named = _votes(path)
    raw = fer2013.read(images, spec)
    count = len(raw.labels)
    differ = np.flatnonzero(raw.part != usages[:count]) if count <= len(usages) else [len(usages)]
    if len(differ):
        msg = (
            f"{path}: votes and images must be of the same rows, got another Usage in row {differ[0]} of {images}; "
            "give both files as they were published"
        )
        raise DataError(msg)
    different, index = np.unique(votes[:count], axis=0, return_inverse=True)
    most = np.stack([majority(row) for row in different])[index.reshape(-1)]
    _check_labels(most, raw, path, images)
    shares = most if spec.labels == "majority" else np.stack([soft(row) for row in different])[index.reshape(-1)]
    kept = np.flatnonzero((shares.sum(1) > 0) & named[:count])
    if not len(kept):
        msg = f"{path}: some image must have a label by its votes, got none in {count} rows; check the file"
        raise DataError(msg)
    classes = names.ordered(map(names.canonical, EXPRESSIONS))
    shares = shares[kept][:, [list(map(names.canonical, EXPRESSIONS)).index(name) for name in classes]]
    return replace(
        taken(raw, kept),
        labels=shares.argmax(1),
        classes=classes,
        soft=shares.astype(np.float32) if spec.labels == "soft" else None,
    )


def majority(votes: np.ndarray) -> np.ndarray:
    """Return one class's share as 1 where it has more than half of the votes, zeros where none has.

    Args:
        votes: whole numbers, the 8 expressions, then unknown and NF.

    Returns:
        float64, 8.
    """
    votes = np.where(votes > 1, votes, 0)
    shares = np.zeros(len(EXPRESSIONS))
    top = int(votes.argmax())
    if top < len(EXPRESSIONS) and votes[top] > votes.sum() / 2:
        shares[top] = 1
    return shares


def soft(votes: np.ndarray) -> np.ndarray:
    """Return the shares of the classes with most votes, zeros where the rule leaves the row out; as `majority`."""
    votes = np.where(votes > 1, votes, 0)
    total, left = votes.sum(), votes.copy()
    taken = np.zeros(len(EXPRESSIONS))
    count, ended = 0, False
    while not ended and taken.sum() < ENOUGH * total and count < MOST:
        for i in np.flatnonzero(left == left.max()):
            if i >= len(EXPRESSIONS):
                ended = True
                break
            taken[i], left[i] = left[i], 0
            count += 1
    if taken.sum() <= total / 2 or count > MOST:
        return np.zeros(len(EXPRESSIONS))
    return taken / taken.sum()


def _check_labels(most: np.ndarray, raw: RawData, path: Path, images: Path) -> None:
    """Refuse votes that are of other images than the row's: a csv that was sorted, or from which rows were deleted."""
    place = [raw.classes.index(name) if name in raw.classes else -1 for name in map(names.canonical, EXPRESSIONS)]
    told = np.flatnonzero(most.any(1))
    agree = np.array(place)[most[told].argmax(1)] == raw.labels[told]
    for end in range(BLOCK, len(told) + 1, BLOCK):
        share = agree[end - BLOCK : end].mean()
        if share < AGREE:
            first, last = told[end - BLOCK], told[end - 1]
            got = f"{share:.0%} of them alike in rows {first} to {last} of {images}"
            msg = f"{path}: most votes and labels of one row must be alike, got {got}; give both files as published"
            raise DataError(msg)


def _votes(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Usage, votes (int64, rows x 10) and whether the image is named, a row each."""
    usages, votes, named = [], [], []
    for number, row in records(path, NEEDED):
        try:
            votes.append(np.array([int(row[name]) for name in (*EXPRESSIONS, *OTHER)], np.int64))
        except (ValueError, OverflowError):
            msg = f"{path}:{number}: votes must be whole numbers, got others; correct or delete the row"
            raise DataError(msg) from None
        usages.append(row["Usage"])
        named.append(bool(row.get("Image name", "-")))
    if not votes:
        msg = f"{path}:1: a csv must have rows below its header, got none; copy or download it again"
        raise DataError(msg)
    return np.array(usages), np.array(votes), np.array(named)
