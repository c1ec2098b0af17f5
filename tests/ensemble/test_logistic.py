from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferhpo.ensemble.combine import Meta, apply_meta, centred_logs, softmax
from ferhpo.ensemble.logistic import TOL, PerClass, Shared, solver
from ferhpo.metrics import nll


def solve(form: Any, probs: np.ndarray, y: np.ndarray, strength: float, start: Meta | None = None) -> Meta:
    return solver(form, probs, y)(strength, TOL, start)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_shared_coefficients_are_where_the_penalised_loss_is_flat(made: Any, seed: int) -> None:
    probs, y = made(3, 80, classes=4, seed=seed)
    logs = centred_logs(probs)

    def loss(theta: np.ndarray) -> float:
        pooled = softmax(np.tensordot(theta[:3], logs, 1) + theta[3:])
        return 0.05 * 80 * nll(pooled, y) + float(theta[:3] @ theta[:3]) / 2

    found = solve(Shared, probs, y, 0.05)
    theta = np.r_[found.coef_cmk[0, :, 0], found.bias_c]
    assert np.allclose(found.coef_cmk, np.eye(4)[:, None, :] * theta[None, :3, None])
    slopes = [(loss(theta + step) - loss(theta - step)) / 2e-5 for step in 1e-5 * np.eye(7)]
    assert np.abs(slopes).max() < 1e-4


def test_a_shared_weight_turns_a_flattened_member_back(made: Any) -> None:
    probs, _ = made(1, 20_000, classes=3)
    y = (np.random.default_rng(1).random((20_000, 1)) > probs[0].cumsum(1)).sum(1)  # labels drawn by the member
    flat = probs**0.5
    fitted = solve(Shared, flat / flat.sum(2, keepdims=True), y, 1.0)
    assert fitted.coef_cmk[0, 0, 0] == pytest.approx(2, abs=0.1)
    assert np.allclose(fitted.bias_c - fitted.bias_c.mean(), 0, atol=0.1)


@pytest.mark.parametrize("form", [PerClass, Shared])
def test_where_the_solver_starts_does_not_matter(made: Any, form: Any) -> None:
    probs, y = made(3, 200)
    first = solve(form, probs, y, 1e-2)
    warm = solve(form, probs, y, 1e-1, start=first)
    cold = solve(form, probs, y, 1e-1)
    assert np.allclose(apply_meta(probs, warm), apply_meta(probs, cold), atol=1e-3)


@pytest.mark.parametrize("form", [PerClass, Shared])
def test_copies_of_all_members_are_half_the_penalty(made: Any, form: Any) -> None:
    probs, y = made(2, 200)
    doubled = np.concatenate([probs, probs])
    single, double = solve(form, probs, y, 0.2), solve(form, doubled, y, 0.1)
    assert np.allclose(apply_meta(probs, single), apply_meta(doubled, double), atol=1e-3)
