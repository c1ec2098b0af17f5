"""Probabilities and labels of any size, for what scores them."""

import numpy as np
from hypothesis import strategies as st

SEEDS = st.integers(0, 2**32 - 1)


def made_up(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and labels of any size; some classes may never occur."""
    rng = np.random.default_rng(seed)
    rows, classes = int(rng.integers(1, 60)), int(rng.integers(2, 9))
    probs = rng.dirichlet(np.full(classes, rng.uniform(0.2, 3.0)), size=rows)
    return probs, rng.integers(classes, size=rows)
