"""In which order the training rows are seen, so that rare classes are seen as often as frequent ones, if wanted."""

import numpy as np

NEAREST = 5  # rows of its class that a row is blended with, as in the paper
BLOCK = 512  # rows whose distances are held at a time


def order(labels: np.ndarray, sampling: str, rng: np.random.Generator) -> np.ndarray:
    """Return the places of the rows of one pass, where classes are balanced.

    Args:
        labels: int64, class index a row; every class has one.
        sampling: oversample, smote: every class as often as the largest, its rows again and again. undersample: every
            class as often as the smallest, other rows each time. balanced: as many rows as there are, and of every run
            of as many rows as classes each class has one, so that batches are balanced.
        rng: what draws.

    Returns:
        int64; `length` of them.
    """
    rows_of = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    sizes = [len(rows) for rows in rows_of]
    if sampling == "balanced":
        turns = -(-len(labels) // len(rows_of))
        columns = np.stack([_drawn(rows, turns, rng) for rows in rows_of], axis=1)
        return rng.permuted(columns, axis=1).reshape(-1)[: len(labels)]
    count = min(sizes) if sampling == "undersample" else max(sizes)
    return rng.permutation(np.concatenate([_drawn(rows, count, rng) for rows in rows_of]))


def length(labels: np.ndarray, sampling: str) -> int:
    """Return how many rows `order` gives; each row once where ``sampling`` is none."""
    sizes = np.unique(labels, return_counts=True)[1]
    most, least = int(sizes.max()) * len(sizes), int(sizes.min()) * len(sizes)
    return {"oversample": most, "smote": most, "undersample": least}.get(sampling, len(labels))


def neighbours(vectors_nd: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the places of the `NEAREST` rows of the same class, n x `NEAREST`; a small class repeats what it has.

    Rows of the largest class, which need no blends, have themselves.

    Args:
        vectors_nd: float32, a small version of each training row.
        labels: int64, class index a row.
    """
    found = np.repeat(np.arange(len(labels))[:, None], NEAREST, axis=1)
    classes, counts = np.unique(labels, return_counts=True)
    for wanted in classes[(counts > 1) & (counts < counts.max())]:
        rows = np.flatnonzero(labels == wanted)
        own = vectors_nd[rows]
        squares, kept = (own**2).sum(1), min(NEAREST, len(rows) - 1)
        for start in range(0, len(rows), BLOCK):
            here = np.arange(start, min(start + BLOCK, len(rows)))
            distances = squares - 2 * own[here] @ own.T
            distances[np.arange(len(here)), here] = np.inf
            nearest = np.argpartition(distances, kept - 1, axis=1)[:, :kept]
            found[rows[here]] = rows[nearest[:, np.arange(NEAREST) % kept]]
    return found


def blends(order: np.ndarray, nearest: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return for each place of an order the row that it is blended with, and that row's share, 0..1.

    The first time that a row comes it is as it is; each repeat is a new point on the way to a neighbour.

    Args:
        order: int64 places of the rows of one pass.
        nearest: of `neighbours`.
        rng: what draws.

    References:
        Chawla et al. 2002, SMOTE: Synthetic Minority Over-sampling Technique, arXiv 1106.1813. Changed here: blends are
        drawn anew for every pass.
    """
    partner = nearest[order, rng.integers(nearest.shape[1], size=len(order))]
    share = rng.random(len(order), dtype=np.float32)
    share[np.unique(order, return_index=True)[1]] = 0
    return partner, share


def _drawn(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``count`` of the rows: all of them in random order, as often as needed, so that none is left behind."""
    passes = [rng.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate(passes)[:count]
