import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferhpo.ensemble.simplex import GAP, minimise


def quadratic(matrix: np.ndarray, vector: np.ndarray):
    """Return a convex quadratic function with its derivatives."""
    hessian = matrix @ matrix.T
    return lambda w: (float(w @ hessian @ w / 2 - vector @ w), hessian @ w - vector, hessian)


def project(point: np.ndarray) -> np.ndarray:
    """Return the nearest point of the simplex: the closed form by sorting (Held, Wolfe, Crowder 1974)."""
    ordered = np.sort(point)[::-1]
    over = (np.cumsum(ordered) - 1) / np.arange(1, len(point) + 1)
    return np.maximum(point - over[np.flatnonzero(ordered > over)[-1]], 0)


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=8))
@settings(deadline=None, derandomize=True)
def test_the_nearest_point_of_the_simplex_is_the_closed_form(point: list[float]) -> None:
    target = np.array(point)
    assert minimise(quadratic(np.eye(len(target)), target), len(target)) == pytest.approx(project(target), abs=1e-5)


@given(seed=st.integers(0, 10_000), members=st.integers(1, 6), rank=st.integers(1, 6))
@settings(deadline=None, derandomize=True)
def test_the_gradient_certifies_the_minimum_also_where_the_hessian_is_singular(
    seed: int, members: int, rank: int
) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(members, rank))
    derivatives = quadratic(matrix, matrix @ rng.normal(size=rank))
    weights = minimise(derivatives, members)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    gradient = derivatives(weights)[1]
    assert gradient @ weights - gradient.min() <= 1e-6
    corners = [derivatives(corner)[0] for corner in np.eye(members)]
    assert derivatives(weights)[0] <= min(corners) + GAP


def test_a_flat_function_leaves_equal_weights() -> None:
    assert minimise(lambda _: (0.0, np.zeros(4), np.zeros((4, 4))), 4).tolist() == [0.25] * 4
