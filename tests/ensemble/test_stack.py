import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferhpo.ensemble.combine import FLOOR, apply_meta, features, softmax
from ferhpo.ensemble.logistic import TOL, PerClass, solver
from ferhpo.ensemble.simplex import GAP
from ferhpo.ensemble.stack import (
    STRENGTHS,
    fit_log_pool,
    fit_logistic,
    fit_logistic_shared,
    fit_weighted,
    linear_weights,
    log_weights,
)
from ferhpo.metrics import nll

GRID = [(a / 20, b / 20, 1 - (a + b) / 20) for a, b in itertools.product(range(21), repeat=2) if a + b <= 20]
seeds = given(seed=st.integers(0, 10_000))
few = settings(max_examples=15, deadline=None, derandomize=True)


def mean_nll(weights: Any, probs: np.ndarray, y: np.ndarray) -> float:
    return nll(np.tensordot(np.asarray(weights), probs, 1), y)


def geometric(weights: Any, probs: np.ndarray) -> np.ndarray:
    pooled = np.prod(np.maximum(probs, FLOOR) ** np.asarray(weights)[:, None, None], axis=0)
    return pooled / pooled.sum(1, keepdims=True)


@seeds
@few
def test_no_weights_of_a_fine_grid_are_better(made: Any, seed: int) -> None:
    probs, y = made(3, 60, classes=3, seed=seed)
    assert mean_nll(linear_weights(probs, y), probs, y) <= min(mean_nll(w, probs, y) for w in GRID) + GAP
    pooled = [nll(geometric(w, probs), y) for w in GRID]
    assert nll(geometric(log_weights(probs, y), probs), y) <= min(pooled) + GAP


def test_two_members_meet_the_closed_form() -> None:
    # Each member is sure of its own rows: the likelihood is w**3 * (1 - w), highest at w = 3/4.
    probs = np.array([[[1, 0]] * 3 + [[1, 0]], [[0, 1]] * 3 + [[0, 1]]], float)
    assert linear_weights(probs, np.array([0, 0, 0, 1])) == pytest.approx([0.75, 0.25], abs=1e-3)


def test_two_log_pooled_members_meet_the_closed_form() -> None:
    # Odds 4 and 1/4 of the first class, which three rows of four have: pooled odds 3 = 4**(2 w - 1).
    probs = np.array([[[0.8, 0.2]] * 4, [[0.2, 0.8]] * 4])
    share = (np.log(3) / np.log(4) + 1) / 2
    assert log_weights(probs, np.array([0, 0, 0, 1])) == pytest.approx([share, 1 - share], abs=1e-5)


@pytest.mark.parametrize("fit", [fit_weighted, fit_log_pool])
def test_a_member_that_never_helps_is_dropped(fit: Any) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=200)
    good = np.eye(3)[y] * 0.7 + 0.1
    poor = np.eye(3)[(y + 1) % 3] * 0.7 + 0.1
    assert fit(np.stack([good, poor]), y, y).weights_m.tolist() == [1, 0]


@pytest.mark.parametrize("weigh", [linear_weights, log_weights])
def test_a_copy_of_a_member_changes_no_prediction(made: Any, weigh: Any) -> None:
    probs, y = made(4, 200)
    single, double = weigh(probs, y), weigh(np.concatenate([probs, probs[:1]]), y)
    assert double[:4] + np.eye(4)[0] * double[4] == pytest.approx(single, abs=1e-4)


def test_a_log_pool_is_the_normalised_geometric_mean(made: Any) -> None:
    probs, y = made(3, 100)
    fitted = fit_log_pool(probs, y, y)
    assert np.allclose(fitted.predict(probs), geometric(fitted.weights_m, probs))
    assert fitted.meta is not None
    assert fitted.meta.strength is None


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_logistic_is_that_of_scikit_learn(made: Any, classes: int) -> None:
    from sklearn.linear_model import LogisticRegression

    probs, y = made(3, 300, classes=classes)
    fitted = fit_logistic(probs, y, np.arange(300))
    assert fitted.meta is not None
    assert fitted.meta.strength is not None
    halved = 2 if classes == 2 else 1  # its two classes share one row of coefficients, so half the penalty
    model = LogisticRegression(C=halved * fitted.meta.strength, tol=1e-8, max_iter=10_000).fit(features(probs), y)
    assert np.allclose(fitted.predict(probs), model.predict_proba(features(probs)), atol=1e-3)


def test_the_penalty_is_chosen_on_rows_the_fit_did_not_see(made: Any) -> None:
    probs, _ = made(10, 150)
    y = np.random.default_rng(1).integers(7, size=150)
    noise = fit_logistic(probs, y, np.arange(150))
    assert noise.meta is not None
    assert noise.meta.strength in STRENGTHS[:2]
    loose = apply_meta(probs, solver(PerClass, probs, y)(STRENGTHS[-1], TOL, None))
    assert nll(loose, y) < 1.2 < 1.8 < nll(noise.predict(probs), y)


@pytest.mark.parametrize("fit", [fit_logistic, fit_logistic_shared])
def test_a_class_without_a_row_keeps_a_probability(made: Any, fit: Any) -> None:
    probs, y = made(2, 100, classes=4)
    some = y != 3
    held = fit(probs[:, some], y[some], np.arange(some.sum())).predict(probs)
    assert held.shape == (100, 4)
    assert (held > 0).all()
    assert (held[some].argmax(1) != 3).mean() > 0.9


@pytest.mark.parametrize("fit", [fit_logistic, fit_logistic_shared])
def test_rows_of_a_single_class_can_be_fitted(made: Any, fit: Any) -> None:
    probs, _ = made(2, 20, classes=3)
    held = fit(probs, np.ones(20, int), np.arange(20)).predict(probs)
    assert (held.argmax(1) == 1).all()


def test_shares_are_of_absolute_coefficients(made: Any) -> None:
    probs, y = made(3, 200)
    fitted = fit_logistic(probs, y, np.arange(200))
    assert fitted.meta is not None
    mass = np.array([np.abs(fitted.meta.coef_cmk[:, m]).sum() for m in range(3)])
    assert np.allclose(fitted.weights_m, mass / mass.sum())


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_members_that_are_sure_of_everything_are_weighed_all_the_same(classes: int) -> None:
    """The curvature is less than what rounding leaves of a difference of moments."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        y = rng.integers(classes, size=120)
        right = 20 * rng.uniform(0.7, 1.3, (8, 1, 1)) * np.eye(classes)[y]
        probs = (
            softmax((right + rng.normal(size=(8, 120, classes))).astype(np.float32)).astype(np.float32).astype(float)
        )
        weights = log_weights(probs / probs.sum(2, keepdims=True), y)
        assert weights.sum() == pytest.approx(1)
        assert weights.min() >= 0
