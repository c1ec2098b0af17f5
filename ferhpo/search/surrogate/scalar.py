"""Several objectives as one, by weights: what `FidelitySampler` improves in a study with a Pareto front.

Each proposal draws one of some ten directions, evenly spread, and improves the largest of the weighted distances to the
best values of the objectives, and a little of their sum.

References:
    Knowles 2006, ParEGO: A Hybrid Algorithm With On-Line Landscape Approximation for Expensive Multiobjective
    Optimization Problems, section III.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from ferhpo.search.surrogate.fidelity import worst

PARTS = {2: 11, 3: 6}  # that a weight of 1 is dealt in, by the number of objectives: 10 directions each
SUM = 0.05  # share of the sum, so that of two points as far away the one that is nearer otherwise is better


def directions(objectives: int) -> np.ndarray:
    """Return weights that sum to 1, none of them 0: an end of the front where only one thing counts is no use.

    Returns:
        (directions, objectives).
    """
    parts = PARTS.get(objectives, objectives + 1)
    cuts = [(0, *c, parts) for c in combinations(range(1, parts), objectives - 1)]
    return np.diff(np.array(cuts), axis=1) / parts


def scalarised(curves: Sequence[np.ndarray], weights: np.ndarray) -> list[np.ndarray]:
    """Return one value for each row of objectives, greater is better, at most 0.

    Each objective is scaled so that its best value is 1 and a bad one 0; what is worse than `fidelity.worst` counts as
    bad.

    Args:
        curves: (epochs, objectives) each, greater is better; NaN in a row of which nothing is known but that it is bad.
        weights: (objectives,).

    Returns:
        (epochs,) each; NaN where the row has one.
    """
    points = np.concatenate(curves)
    finite = points[np.isfinite(points).all(1)]
    if not len(finite):
        return [np.full(len(c), np.nan) for c in curves]
    best, floor = finite.max(0), np.array([worst(column) for column in finite.T])
    spread = np.where(best > floor, best - floor, 1.0)
    away = [weights * (best - np.maximum(c, floor)) / spread for c in curves]
    return [-(a.max(1) + SUM * a.sum(1)) for a in away]
