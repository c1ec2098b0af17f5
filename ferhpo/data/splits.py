"""Which rows train, validate and are sealed for the test: decided by the images alone.

No seed and no row order enters: rows are grouped by identical image, and where a split has to be made, groups are taken
in the order of their images' hashes, class by class. So two people with the same images have the same split.

    the data bring            test          val                train
    train, val and test       test          val                train    (Training, PublicTest, PrivateTest; folders)
    train and one more        the one more  a share of train   the rest
    nothing                   a share       a share            the rest
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from ferhpo.data.raw import RawData, role
from ferhpo.errors import DataError
from ferhpo.space.spec import DataSpec

TRAIN, VAL, TEST, DROPPED = 0, 1, 2, -1
NAMES = {"train": TRAIN, "val": VAL, "test": TEST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Where each row belongs.

    Args:
        split: int8, rows: TRAIN, VAL, TEST or DROPPED.
        group: int32, rows, equal for identical images; numbered in the order of the images' hashes.
        dropped: rows left out, by what they were and where their image also stands: train_in_val, train_in_test,
            val_in_test (a training image that stands in both counts as train_in_test).
    """

    split: np.ndarray
    group: np.ndarray
    dropped: dict[str, int]


def groups(images: np.ndarray) -> np.ndarray:
    """Return an int32 per image, equal for identical ones, in the order of the images' hashes."""
    hashes = np.array(
        [hashlib.blake2b(np.ascontiguousarray(i).data, digest_size=16).hexdigest() for i in images], "S32"
    )
    return np.unique(hashes, return_inverse=True)[1].astype(np.int32)


def assign(raw: RawData, spec: DataSpec) -> Splits:
    """Split the rows of ``raw`` into train, val and test; no image stands in two of them.

    Raises:
        DataError: fewer than two classes, a split without rows, or a class without training rows.
    """
    if len(np.unique(raw.labels)) < 2:
        got = raw.classes[raw.labels[0]] if len(raw.labels) else "no image"
        msg = f"images of at least 2 classes are needed, got {got} alone; add the other classes"
        raise DataError(msg)
    group = groups(raw.images)
    names, index = np.unique(raw.part, return_inverse=True)
    split = np.array([NAMES[role(str(name))] for name in names], np.int8)[index]
    if not (split == TEST).any():
        split[split == VAL] = TEST
    dropped = {"train_in_val": 0, "train_in_test": 0, "val_in_test": 0}
    for gone, kept, key in ((TRAIN, TEST, "train_in_test"), (TRAIN, VAL, "train_in_val"), (VAL, TEST, "val_in_test")):
        twice = (split == gone) & np.isin(group, group[split == kept])
        split[twice] = DROPPED
        dropped[key] = int(twice.sum())
    if not (split == TEST).any():
        _carve(split, group, raw.labels, {TEST: spec.test, VAL: spec.val})
    elif not (split == VAL).any() and not dropped["val_in_test"]:
        _carve(split, group, raw.labels, {VAL: spec.val})
    _check(split, raw)
    return Splits(split=split, group=group, dropped=dropped)


def _carve(split: np.ndarray, group: np.ndarray, labels: np.ndarray, shares: dict[int, float]) -> None:
    """Move a share of the training rows, stratified and in whole groups, into each split of ``shares``.

    A group counts for the class of most of its rows. Of each class a group goes where its middle row falls, so that a
    share is missed by half a group at most.
    """
    rows = np.flatnonzero(split == TRAIN)
    present, group_of_row = np.unique(group[rows], return_inverse=True)
    votes = np.zeros((len(present), int(labels.max()) + 1), np.int64)
    np.add.at(votes, (group_of_row, labels[rows]), 1)
    size, label = votes.sum(1), votes.argmax(1)
    target = np.full(len(present), TRAIN, np.int8)
    for c in np.unique(label):
        of_class = np.flatnonzero(label == c)
        middle = (np.cumsum(size[of_class]) - size[of_class] / 2) / size[of_class].sum()
        edge = 0.0
        for code, share in shares.items():
            target[of_class[(middle >= edge) & (middle < edge + share)]] = code
            edge += share
    split[rows] = target[group_of_row]


def _check(split: np.ndarray, raw: RawData) -> None:
    for name, code in NAMES.items():
        if not (split == code).any():
            have = ", ".join(sorted({str(p) or "one tree" for p in np.unique(raw.part)}))
            got = f"none left for {name} from {len(raw.labels)} rows ({have})"
            msg = f"each of train, val and test must have images, got {got}; add images"
            raise DataError(msg)
    missing = np.setdiff1d(raw.labels, raw.labels[split == TRAIN])
    if len(missing):
        name = raw.classes[missing[0]]
        msg = f"every class must have training images, got none left for '{name}'; add some, or take the class out"
        raise DataError(msg)
