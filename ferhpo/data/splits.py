"""Which rows train, validate and are sealed for the test: decided by the images alone.

No seed and no row order enters: rows are grouped by identical image, and by person or photograph where the data say it;
where a split has to be made, groups are taken in an order that hashes of their images give, class by class. So two
people with the same images have the same split.

    the data bring            test          val                train
    train, val and test       test          val                train    (Training, PublicTest, PrivateTest; folders)
    train and one more        the one more  a share of train   the rest
    nothing                   a share       a share            the rest
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from ferhpo.data import near
from ferhpo.data.raw import RawData, role
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec

VERSION = 2  # raise it when rows come to be split in another way: what is prepared is then prepared anew
TRAIN, VAL, TEST, DROPPED = 0, 1, 2, -1
NAMES = {"train": TRAIN, "val": VAL, "test": TEST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Where each row belongs.

    Args:
        split: int8, rows: TRAIN, VAL, TEST or DROPPED.
        group: int32, rows, equal for identical images and for what the data group; numbered in an order that hashes of
            their images give, and their number does not.
        dropped: rows left out, by what they were and where their image also stands: train_in_val, train_in_test,
            val_in_test (a training image that stands in both counts as train_in_test); with ``drop_leaks``
            train_near_val, train_near_test and val_near_test, with ``drop_blank`` blank.
    """

    split: np.ndarray
    group: np.ndarray
    dropped: dict[str, int]


def groups(images: np.ndarray) -> np.ndarray:
    """Return an int32 per image, equal for identical ones, in the order of the images' hashes."""
    return np.unique(hashes(images), return_inverse=True)[1].astype(np.int32)


def hashes(images: np.ndarray) -> np.ndarray:
    """Return a text (bytes) per image, equal for identical ones."""
    plain = np.asarray(images)  # slicing a memmap row by row takes longer than hashing the rows
    texts = (hashlib.blake2b(np.ascontiguousarray(i).data, digest_size=16).hexdigest() for i in plain)
    return np.fromiter(texts, "S32", len(images))


def assign(raw: RawData, spec: DataSpec, *, trains: bool = False) -> Splits:
    """Split the rows of ``raw`` into train, val and test; no image stands in two of them.

    Args:
        raw: the set.
        spec: shares, and what is dropped.
        trains: only training rows are wanted. If every row names its split, none of them is held out; val and test may
            be empty.

    Raises:
        DataError: fewer than two classes, a split without rows, or a class without training rows.
    """
    if len(np.unique(raw.labels)) < 2:
        got = raw.classes[raw.labels[0]] if len(raw.labels) else "no image"
        msg = f"images of at least 2 classes are needed, got {got} alone; add the other classes"
        raise DataError(msg)
    texts, same = np.unique(hashes(raw.images), return_inverse=True)
    near = [near_groups(raw.images, same)] if spec.drop_leaks else []
    alike = _linked(same, *near)
    group = _numbered(_linked(same, *near, *([] if raw.group is None else [raw.group])), texts)
    names, index = np.unique(raw.part, return_inverse=True)
    split = np.array([NAMES[role(str(name))] for name in names], np.int8)[index]
    if not (split == TEST).any():
        split[split == VAL] = TEST
    dropped = _drop_twice(split, same, "in")
    shares: dict[int, float] = {}
    whole = trains and "" not in names
    if not (whole or (split == TEST).any()):
        shares = {TEST: spec.test, VAL: spec.val}
    elif not (whole or (split == VAL).any() or dropped["val_in_test"]):
        shares = {VAL: spec.val}
    if shares:
        _carve(split, group, raw.labels, shares, pooled=raw.group is not None)
    if spec.drop_leaks:
        dropped |= _drop_twice(split, alike, "near")
    if spec.drop_blank:
        blank = (split == TRAIN) & is_blank(raw.images)
        split[blank] = DROPPED
        dropped["blank"] = int(blank.sum())
    _check(split, raw, tuple(shares), trains=trains)
    return Splits(split=split, group=group, dropped=dropped)


def near_groups(images: np.ndarray, same: np.ndarray) -> np.ndarray:
    """Return a number per row, equal for images that are nearly the same, directly or through others.

    Args:
        images: uint8, rows x side x side x channels.
        same: `groups` of them.
    """
    first = np.unique(same, return_index=True)[1]
    return near.components(near.pairs(images, first), len(first))[same]


def is_blank(images: np.ndarray) -> np.ndarray:
    """Tell which images have one single colour, a bool each."""
    flat = images.reshape(len(images), -1, images.shape[-1])
    return (flat.max(1) == flat.min(1)).all(1)


def _linked(same: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """Return the smallest number of ``same`` that each row is linked to, by equal numbers there or in ``others``."""
    links, count = [np.empty((0, 2), np.int64)], int(same.max()) + 1
    for other in others:
        links.append(np.stack([same, count + np.unique(other, return_inverse=True)[1]], axis=1))
        count = int(links[-1].max()) + 1
    return near.components(np.concatenate(links), count)[same]


def _numbered(first: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Number groups, int32, in the order of a hash of a hash of theirs.

    Not of that hash itself, the smallest of a group: the more images a person has the smaller it is, so that people
    with many would validate and test.

    Args:
        first: of each row's group the place in ``texts``.
        texts: hashes of images, sorted.
    """
    found, index = np.unique(first, return_inverse=True)
    if len(found) < len(texts):
        texts = np.array([hashlib.blake2b(text, digest_size=16).hexdigest() for text in texts[found]])
    return texts.argsort().argsort()[index].astype(np.int32)


def _drop_twice(split: np.ndarray, group: np.ndarray, how: str) -> dict[str, int]:
    """Drop rows whose group stands in a split that goes before theirs; return how many."""
    dropped = {f"train_{how}_val": 0, f"train_{how}_test": 0, f"val_{how}_test": 0}
    for gone, kept in (("train", "test"), ("train", "val"), ("val", "test")):
        twice = (split == NAMES[gone]) & np.isin(group, group[split == NAMES[kept]])
        split[twice] = DROPPED
        dropped[f"{gone}_{how}_{kept}"] = int(twice.sum())
    return dropped


def _carve(split: np.ndarray, group: np.ndarray, labels: np.ndarray, shares: dict[int, float], *, pooled: bool) -> None:
    """Move a share of the training rows, stratified and in whole groups, into each split of ``shares``.

    A group counts for the class of most of its rows. Of each class a group goes where its middle row falls, so that a
    share is missed by half a group at most. With ``pooled`` classes of too few groups (people, say) are taken together.
    Where that leaves a split of ``shares`` without rows, what rounding left over is carried from class to class.
    """
    rows = np.flatnonzero(split == TRAIN)
    present, group_of_row = np.unique(group[rows], return_inverse=True)
    votes = np.zeros((len(present), int(labels.max()) + 1), np.int64)
    np.add.at(votes, (group_of_row, labels[rows]), 1)
    size, label = votes.sum(1), votes.argmax(1)
    target = np.full(len(present), TRAIN, np.int8)
    few = np.bincount(label) * min(shares.values()) < 1
    if pooled:
        label = np.where(few[label], -1, label)
    for c in np.unique(label):
        of_class = np.flatnonzero(label == c)
        middle = (np.cumsum(size[of_class]) - size[of_class] / 2) / size[of_class].sum()
        edge = 0.0
        for code, share in shares.items():
            target[of_class[(middle >= edge) & (middle < edge + share)]] = code
            edge += share
    if not np.isin(list(shares), target).all():
        target = _carried(size, label, shares)
    split[rows] = target[group_of_row]


def _carried(size: np.ndarray, label: np.ndarray, shares: dict[int, float]) -> np.ndarray:
    """Return the split of each group, by its rows and class; a class keeps one that trains."""
    target = np.full(len(label), TRAIN, np.int8)
    owed = dict.fromkeys(shares, 0.0)
    for c in np.unique(label):
        left = np.flatnonzero(label == c)
        rows = size[left].sum()
        for code, share in shares.items():
            owed[code] += share * rows
            while len(left) > 1 and owed[code] >= size[left[0]] / 2:
                target[left[0]] = code
                owed[code] -= int(size[left[0]])
                left = left[1:]
    return target


def _check(split: np.ndarray, raw: RawData, carved: tuple[int, ...], *, trains: bool) -> None:
    for name, code in NAMES.items():
        if not (split == code).any() and (code == TRAIN or not trains):
            have = ", ".join(sorted({str(p) or "one tree" for p in np.unique(raw.part)}))
            got = f"none left for {name} from {len(raw.labels)} rows ({have})"
            more = f", or raise {name} in [data]" if code in carved else ""
            msg = f"each of train, val and test must have images, got {got}; add images{more}"
            raise DataError(msg)
    if trains:
        return
    missing = np.setdiff1d(np.arange(len(raw.classes)), raw.labels[split == TRAIN])
    if len(missing):
        name = raw.classes[missing[0]]
        alike = [f"name it '{other}', " for other in raw.classes if other != name and other.lower() == name.lower()]
        remedy = f"{''.join(alike[:1])}add some, or take the class out"
        msg = f"every class must have training images, got none left for '{name}'; {remedy}"
        raise DataError(msg)
