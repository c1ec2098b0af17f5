import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferhpo.ensemble.combine import (
    Combination,
    Meta,
    apply_meta,
    features,
    fit_majority,
    softmax,
    tempered,
    vote,
    weighted_mean,
)
from ferhpo.ensemble.evaluate import METHODS
from ferhpo.metrics import nll


def test_weighted_mean_is_the_weighted_sum(made: Any) -> None:
    probs, _ = made(3, 20)
    weights = np.array([0.5, 0.3, 0.2])
    assert np.allclose(weighted_mean(probs, weights), 0.5 * probs[0] + 0.3 * probs[1] + 0.2 * probs[2])


def test_the_class_with_most_votes_wins_against_a_confident_minority() -> None:
    probs = np.array([[[0.51, 0.49]], [[0.51, 0.49]], [[0.0, 1.0]]])
    assert vote(probs, np.full(3, 1 / 3)).argmax(1) == [0]
    assert weighted_mean(probs, np.full(3, 1 / 3)).argmax(1) == [1]


def test_the_mean_probability_settles_a_tied_vote() -> None:
    probs = np.array([[[0.6, 0.4, 0.0]], [[0.1, 0.9, 0.0]]])
    half = np.array([0.5, 0.5])
    assert vote(probs, half).argmax(1) == [1]
    assert vote(probs[::-1], half).argmax(1) == [1]


def test_majority_agrees_with_counting_by_hand(made: Any) -> None:
    probs, y = made(5, 300)
    got = fit_majority(probs, y, y).predict(probs)
    for n in range(300):
        counts = np.bincount(probs[:, n].argmax(1), minlength=7)
        leaders = np.flatnonzero(counts == counts.max())
        assert got[n].argmax() == leaders[probs[:, n, leaders].mean(0).argmax()]


def test_a_class_without_votes_keeps_a_finite_nll() -> None:
    probs = np.tile([[0.8, 0.1, 0.1]], (4, 1, 1))
    assert nll(vote(probs, np.full(4, 0.25)), np.array([2])) < 10


def test_features_ignore_what_a_softmax_ignores(made: Any) -> None:
    probs, _ = made(2, 10)
    assert np.allclose(features(probs).reshape(10, 2, 7).sum(2), 0)
    assert np.isfinite(features(np.eye(7)[None])).all()


def test_a_meta_learner_that_reads_one_member_repeats_it(made: Any) -> None:
    probs, _ = made(2, 10)
    coef = np.zeros((7, 2, 7))
    coef[:, 1] = np.eye(7)
    assert np.allclose(apply_meta(probs, Meta(coef_cmk=coef, bias_c=np.zeros(7), strength=1.0)), probs[1], atol=1e-6)


def test_leaving_out_members_of_weight_zero_changes_no_prediction(made: Any) -> None:
    probs, _ = made(3, 10)
    kept = np.array([0, 2])
    mean = Combination(method="greedy", weights_m=np.array([0.75, 0, 0.25]))
    assert np.allclose(mean.keep(kept).predict(probs[kept]), mean.predict(probs))
    coef = np.random.default_rng(0).normal(size=(7, 3, 7))
    coef[:, 1] = 0
    meta = Meta(coef_cmk=coef, bias_c=np.arange(7.0), strength=1.0)
    logistic = Combination(method="logistic", weights_m=np.array([0.5, 0, 0.5]), meta=meta)
    assert np.allclose(logistic.keep(kept).predict(probs[kept]), logistic.predict(probs))


def test_who_weighs_nothing_has_no_vote(made: Any) -> None:
    probs, _ = made(3, 50)
    assert np.allclose(vote(probs, np.array([0.5, 0, 0.5])), vote(probs[[0, 2]], np.array([0.5, 0.5])))


@pytest.mark.parametrize("method", METHODS)
def test_spread_is_the_inverse_of_keep_and_changes_no_prediction(made: Any, method: str) -> None:
    probs, y = made(2, 40)
    five, _ = made(5, 40, seed=1)
    five[[3, 1]] = probs
    fitted = METHODS[method](probs, y, np.arange(40))
    kept = np.array([3, 1])
    spread = fitted.spread(kept, 5)
    assert np.allclose(spread.predict(five), fitted.predict(probs))
    assert spread.keep(kept).to_json() == fitted.to_json()


@pytest.mark.parametrize("method", METHODS)
def test_json_gives_the_same_combination_back(made: Any, method: str) -> None:
    probs, y = made(3, 60)
    fitted = replace(METHODS[method](probs, y, np.arange(60)), temperature=1.3)
    again = Combination.from_json(json.loads(json.dumps(fitted.to_json(), allow_nan=False)))
    assert (again.predict(probs) == fitted.predict(probs)).all()
    assert again.to_json() == fitted.to_json()


@pytest.mark.parametrize(
    ("key", "value"), [("rule", "vote"), ("temperature", 0.0), ("coef", [[[1.0]]]), ("temperature", float("nan"))]
)
def test_json_that_does_not_fit_together_is_refused(made: Any, key: str, value: Any) -> None:
    probs, y = made(3, 60)
    fitted = METHODS["logistic"](probs, y, np.arange(60))
    with pytest.raises(ValueError, match="must be"):
        Combination.from_json(fitted.to_json() | {key: value})


@given(st.floats(0.1, 10))
def test_a_temperature_divides_log_probabilities(temperature: float) -> None:
    logits = np.random.default_rng(0).normal(size=(20, 5))
    assert np.allclose(tempered(softmax(logits), temperature), softmax(logits / temperature))


def test_temperature_one_returns_what_it_was_given() -> None:
    probs = np.array([[0.0, 1.0]])
    assert tempered(probs, 1.0) is probs
