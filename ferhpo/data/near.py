"""Images that are nearly the same: cut, compressed or lit a little differently.

Two steps, so that no pair of all pairs is ever looked at. A difference hash of 128 bits (is a patch brighter than the
one to its right, and than the one below?) is cut into eight bands; images that agree in one whole band are candidates.
A candidate is a pair if its small versions correlate. On FER-2013 pairs above 0.97 are, by eye, one photograph.
"""

import numpy as np

THUMB = 16  # pixels a side of the small version
ALIKE = 0.97  # correlation of the small versions
NEIGHBOURS = 256  # in a band's order, how far partners are sought: bounds the time where thousands of images agree
BLOCK = 1 << 14  # candidates that are compared at a time


def pairs(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return pairs of nearly the same images among ``rows``, as places there: int64, m x 2, the smaller place first.

    Images of one single colour, which are like all others of theirs, are in no pair.

    Args:
        images: uint8, any number x side x side x channels; a memory-mapped array is not read whole.
        rows: places of those that are looked at.
    """
    if len(rows) < 2:
        return np.empty((0, 2), np.int64)
    bands = _bands(images, rows)
    thumbs, flat = _thumbs(images, rows)
    found = [_alike(candidates, thumbs, flat) for band in bands.T for candidates in _candidates(band)]
    return np.unique(np.concatenate([np.empty((0, 2), np.int64), *found]), axis=0)


def components(links: np.ndarray, count: int) -> np.ndarray:
    """Return the smallest place that each of ``count`` places is linked to, itself or by others, int64.

    Args:
        links: int64, m x 2.
        count: number of places.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(links):
        return np.arange(count)
    graph = coo_array((np.ones(len(links)), tuple(links.T)), shape=(count, count))
    component = connected_components(graph, directed=False)[1]
    smallest = np.unique(component, return_index=True)[1]
    return smallest[component]


def shrunk(images: np.ndarray, rows: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the mean brightness of patches, float32, rows x height x width."""
    small = np.empty((len(rows), height, width), np.float32)
    tops = (np.arange(height) * images.shape[1]) // height
    lefts = (np.arange(width) * images.shape[2]) // width
    area = np.diff(tops, append=images.shape[1])[:, None] * np.diff(lefts, append=images.shape[2])
    area = np.maximum(area, 1)  # of an image with fewer pixels than patches some stand for two
    for start in range(0, len(rows), 1024):
        block = np.asarray(images[rows[start : start + 1024]]).mean(3, dtype=np.float32)
        sums = np.add.reduceat(np.add.reduceat(block, tops, axis=1), lefts, axis=2)
        small[start : start + 1024] = sums / area
    return small


def _bands(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the hash as uint16, rows x 8."""
    across, down = shrunk(images, rows, 8, 9), shrunk(images, rows, 9, 8)
    bits = np.stack([across[:, :, 1:] > across[:, :, :-1], down[:, 1:] > down[:, :-1]], axis=1)
    return np.packbits(bits.reshape(len(rows), -1), axis=1).view(np.uint16)


def _thumbs(images: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return small versions of mean 0 and length 1, rows x pixels, and which images have one single colour."""
    thumbs = shrunk(images, rows, min(THUMB, images.shape[1]), min(THUMB, images.shape[2])).reshape(len(rows), -1)
    thumbs -= thumbs.mean(1, keepdims=True)
    length = np.linalg.norm(thumbs, axis=1, keepdims=True)
    return thumbs / np.maximum(length, 1e-6), length[:, 0] < 1e-3


def _candidates(band: np.ndarray) -> list[np.ndarray]:
    """Return pairs of rows that agree in a band, m x 2 each."""
    order = np.argsort(band, kind="stable")
    ordered = band[order]
    found = []
    for step in range(1, min(NEIGHBOURS, len(order) - 1) + 1):
        at = np.flatnonzero(ordered[step:] == ordered[:-step])
        if not len(at):
            break
        found.append(np.stack([order[at], order[at + step]], axis=1))
    return found


def _alike(candidates: np.ndarray, thumbs: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Return those candidates whose small versions correlate, the smaller place first."""
    kept = [np.empty((0, 2), np.int64)]
    for start in range(0, len(candidates), BLOCK):
        some = candidates[start : start + BLOCK]
        alike = np.einsum("nd,nd->n", thumbs[some[:, 0]], thumbs[some[:, 1]]) > ALIKE
        kept.append(some[alike & ~flat[some].any(1)])
    return np.sort(np.concatenate(kept), axis=1)
