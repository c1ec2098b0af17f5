"""In which order the training rows are seen, so that rare classes are seen as often as frequent ones, if wanted."""

import numpy as np


def order(labels: np.ndarray, sampling: str, rng: np.random.Generator) -> np.ndarray:
    """Return the places of the rows of one pass.

    Args:
        labels: int64, class index a row; every class has one.
        sampling: none: each row once. oversample: every class as often as the largest, its rows again and again.
            undersample: every class as often as the smallest, other rows each time. balanced: as many rows as there
            are, and of every run of as many rows as classes each class has one, so that batches are balanced.
        rng: what draws.

    Returns:
        int64; `length` of them.
    """
    rows_of = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    sizes = [len(rows) for rows in rows_of]
    if sampling == "none":
        return rng.permutation(len(labels))
    if sampling == "balanced":
        turns = -(-len(labels) // len(rows_of))
        columns = np.stack([_drawn(rows, turns, rng) for rows in rows_of], axis=1)
        return rng.permuted(columns, axis=1).reshape(-1)[: len(labels)]
    count = max(sizes) if sampling == "oversample" else min(sizes)
    return rng.permutation(np.concatenate([_drawn(rows, count, rng) for rows in rows_of]))


def length(labels: np.ndarray, sampling: str) -> int:
    """Return how many rows `order` gives."""
    sizes = np.unique(labels, return_counts=True)[1]
    wanted = {"oversample": int(sizes.max()) * len(sizes), "undersample": int(sizes.min()) * len(sizes)}
    return wanted.get(sampling, len(labels))


def _drawn(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``count`` of the rows: all of them in random order, as often as needed, so that none is left behind."""
    passes = [rng.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate(passes)[:count]
