import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferhpo.ensemble.combine import apply_meta, features
from ferhpo.ensemble.stack import GAP, STRENGTHS, fit_logistic, fit_weighted, simplex_weights, solve
from ferhpo.metrics import nll


def mean_nll(weights: Any, probs: np.ndarray, y: np.ndarray) -> float:
    return nll(np.tensordot(np.asarray(weights), probs, 1), y)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_no_weights_of_a_fine_grid_are_better(made: Any, seed: int) -> None:
    probs, y = made(3, 60, classes=3, seed=seed)
    weights = simplex_weights(probs, y)
    grid = [(a / 20, b / 20, 1 - (a + b) / 20) for a, b in itertools.product(range(21), repeat=2) if a + b <= 20]
    assert mean_nll(weights, probs, y) <= min(mean_nll(w, probs, y) for w in grid) + GAP


def test_two_members_meet_the_closed_form() -> None:
    # Each member is sure of its own rows: the likelihood is w**3 * (1 - w), highest at w = 3/4.
    probs = np.array([[[1, 0]] * 3 + [[1, 0]], [[0, 1]] * 3 + [[0, 1]]], float)
    assert simplex_weights(probs, np.array([0, 0, 0, 1])) == pytest.approx([0.75, 0.25], abs=1e-3)


def test_a_member_that_never_helps_is_dropped() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=200)
    good = np.eye(3)[y] * 0.7 + 0.1
    poor = np.eye(3)[(y + 1) % 3] * 0.7 + 0.1
    assert fit_weighted(np.stack([good, poor]), y, y).weights_m.tolist() == [1, 0]


def test_a_copy_of_a_member_lowers_no_nll(made: Any) -> None:
    probs, y = made(4, 200)
    doubled = np.concatenate([probs, probs[:1]])
    single, double = simplex_weights(probs, y), simplex_weights(doubled, y)
    assert abs(mean_nll(single, probs, y) - mean_nll(double, doubled, y)) <= 2 * GAP
    assert np.tensordot(double, doubled, 1) == pytest.approx(np.tensordot(single, probs, 1), abs=0.01)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_logistic_is_that_of_scikit_learn(made: Any, classes: int) -> None:
    from sklearn.linear_model import LogisticRegression

    probs, y = made(3, 300, classes=classes)
    fitted = fit_logistic(probs, y, np.arange(300))
    assert fitted.meta is not None
    model = LogisticRegression(C=fitted.meta.strength, tol=1e-8, max_iter=10_000).fit(features(probs), y)
    assert np.allclose(fitted.predict(probs), model.predict_proba(features(probs)), atol=1e-3)


def test_where_the_solver_starts_does_not_matter(made: Any) -> None:
    probs, y = made(3, 200)
    first = solve(features(probs), y, 7, 1e-2)
    warm = solve(features(probs), y, 7, 1e-1, start=first)
    cold = solve(features(probs), y, 7, 1e-1)
    assert np.allclose(apply_meta(probs, warm), apply_meta(probs, cold), atol=1e-3)


def test_copies_of_all_members_are_half_the_penalty(made: Any) -> None:
    probs, y = made(2, 200)
    doubled = np.concatenate([probs, probs])
    single, double = solve(features(probs), y, 7, 0.2), solve(features(doubled), y, 7, 0.1)
    assert np.allclose(apply_meta(probs, single), apply_meta(doubled, double), atol=1e-3)


def test_the_penalty_is_chosen_on_rows_the_fit_did_not_see(made: Any) -> None:
    probs, _ = made(10, 150)
    y = np.random.default_rng(1).integers(7, size=150)
    noise = fit_logistic(probs, y, np.arange(150))
    assert noise.meta is not None
    assert noise.meta.strength in STRENGTHS[:2]
    loose = apply_meta(probs, solve(features(probs), y, 7, STRENGTHS[-1]))
    assert nll(loose, y) < 1.2 < 1.8 < nll(noise.predict(probs), y)


def test_a_class_without_a_row_keeps_a_probability(made: Any) -> None:
    probs, y = made(2, 100, classes=4)
    some = y != 3
    held = fit_logistic(probs[:, some], y[some], np.arange(some.sum())).predict(probs)
    assert held.shape == (100, 4)
    assert (held > 0).all()
    assert (held[some].argmax(1) != 3).mean() > 0.9


def test_rows_of_a_single_class_can_be_fitted(made: Any) -> None:
    probs, _ = made(2, 20, classes=3)
    held = fit_logistic(probs, np.ones(20, int), np.arange(20)).predict(probs)
    assert (held.argmax(1) == 1).all()


def test_shares_are_of_absolute_coefficients(made: Any) -> None:
    probs, y = made(3, 200)
    fitted = fit_logistic(probs, y, np.arange(200))
    assert fitted.meta is not None
    mass = np.array([np.abs(fitted.meta.coef_cmk[:, m]).sum() for m in range(3)])
    assert np.allclose(fitted.weights_m, mass / mass.sum())
