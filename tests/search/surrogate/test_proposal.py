"""Proposals: expected improvement is the textbook's, and a wrong model does not gather them all in one place."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution

from ferhpo.search.surrogate import proposal
from ferhpo.search.surrogate.encoding import Encoding
from ferhpo.search.surrogate.fidelity import Surrogate, curve
from ferhpo.search.surrogate.proposal import allowing, expected_improvement, proposed

SPACE = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1), "c": CategoricalDistribution(["a", "b", "c"])}
NOTHING = np.empty((0, len(SPACE)))  # is under way


@given(st.floats(-3, 3), st.floats(0.1, 3), st.floats(-3, 3))
def test_expected_improvement_is_the_integral(mean: float, std: float, best: float) -> None:
    y = mean + std * np.linspace(-9, 9, 20_001)
    density = np.exp(-(((y - mean) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))
    integral = float((np.maximum(0, y - best) * density).sum() * (y[1] - y[0]))
    assert expected_improvement(np.array([mean]), np.array([std]), best)[0] == pytest.approx(integral, abs=1e-4)


def proposing(seed: int, **given: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
    """Return what proposes in a study whose value is high where x is, once y is near 0.7, by what is under way."""
    rng, encoding = np.random.default_rng(seed), Encoding(SPACE)
    params = [encoding.params(row) for row in encoding.random(rng, 40)]
    curves = [curve(p, {9: p["x"] if abs(p["y"] - 0.7) < 0.2 else 0.0}, maximize=True) for p in params]
    surrogate = Surrogate(encoding, curves, 9, rng)
    allowed = allowing(encoding, surrogate.rows, given.get("choices", {}), given.get("fixed", {}), rng)
    return lambda pending: proposed(surrogate, pending, allowed, rng)


def test_half_of_the_proposals_are_the_best_of_a_few_and_lie_apart() -> None:
    propose = proposing(0)
    rows = [propose(NOTHING) for _ in range(60)]
    few = np.array([r[0] for r in rows if len(r) == proposal.FEW])
    improving = np.array([r[0] for r in rows if len(r) > proposal.FEW])
    assert 0.3 < len(few) / len(rows) < 0.7
    assert few[:, :2].std(0).min() > 2 * improving[:, :2].std(0).min()
    assert few[:, 0].mean() > 0.6, "by the model they are good ones all the same"


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_both_kinds_keep_to_the_choices_on_offer_and_to_what_is_fixed(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposal, "SPREAD", share)
    propose = proposing(1, choices={"c": ["b"]}, fixed={"x": 0.25})
    rows = propose(NOTHING)
    assert set(rows[:, 0]) == {0.25}
    assert set(rows[:, 2]) == {1.0}


def test_what_is_under_way_is_not_the_most_improving_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposal, "SPREAD", 0.0)
    first = proposing(2)(NOTHING)[0]
    second = proposing(2)(np.array([first]))[0]
    assert np.abs(first - second).max() > 0.01
