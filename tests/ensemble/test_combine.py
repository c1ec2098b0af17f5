from typing import Any

import numpy as np

from ferhpo.ensemble.combine import Combination, Meta, apply_meta, features, fit_majority, vote, weighted_mean
from ferhpo.metrics import nll


def test_weighted_mean_is_the_weighted_sum(made: Any) -> None:
    probs, _ = made(3, 20)
    weights = np.array([0.5, 0.3, 0.2])
    assert np.allclose(weighted_mean(probs, weights), 0.5 * probs[0] + 0.3 * probs[1] + 0.2 * probs[2])


def test_the_class_with_most_votes_wins_against_a_confident_minority() -> None:
    probs = np.array([[[0.51, 0.49]], [[0.51, 0.49]], [[0.0, 1.0]]])
    assert vote(probs).argmax(1) == [0]
    assert weighted_mean(probs, np.full(3, 1 / 3)).argmax(1) == [1]


def test_the_mean_probability_settles_a_tied_vote() -> None:
    probs = np.array([[[0.6, 0.4, 0.0]], [[0.1, 0.9, 0.0]]])
    assert vote(probs).argmax(1) == [1]
    assert vote(probs[::-1]).argmax(1) == [1]


def test_majority_agrees_with_counting_by_hand(made: Any) -> None:
    probs, y = made(5, 300)
    got = fit_majority(probs, y, y).predict(probs)
    for n in range(300):
        counts = np.bincount(probs[:, n].argmax(1), minlength=7)
        leaders = np.flatnonzero(counts == counts.max())
        assert got[n].argmax() == leaders[probs[:, n, leaders].mean(0).argmax()]


def test_a_class_without_votes_keeps_a_finite_nll() -> None:
    probs = np.tile([[0.8, 0.1, 0.1]], (4, 1, 1))
    assert nll(vote(probs), np.array([2])) < 10


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
