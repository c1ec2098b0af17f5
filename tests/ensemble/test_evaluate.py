from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferhpo import metrics
from ferhpo.ensemble.combine import Combination
from ferhpo.ensemble.cost import Budget, Limits
from ferhpo.ensemble.evaluate import METHODS, choose, mcnemar, methods, row_scores
from ferhpo.ensemble.folds import cross_fit, deal
from ferhpo.ensemble.select import SELECTIONS
from ferhpo.scoring import scored

MEANS = ("uniform", "diverse", "weighted", "greedy", "bagged")  # methods that are a weighted mean of probabilities
LOGISTIC = ("logistic_shared", "logistic")
every_method = pytest.mark.parametrize("method", METHODS)
worlds = given(
    seed=st.integers(0, 10_000), members=st.integers(1, 5), rows=st.integers(12, 60), classes=st.integers(2, 5)
)
few = settings(max_examples=6, deadline=None, derandomize=True)


# What every method owes, whatever it is.


@every_method
@worlds
@few
def test_weights_lie_on_the_simplex(made: Any, method: str, seed: int, members: int, rows: int, classes: int) -> None:
    probs, y = made(members, rows, classes, seed)
    weights = METHODS[method](probs, y, np.arange(rows)).weights_m
    assert weights.shape == (members,)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)


@every_method
@worlds
@few
def test_rows_stay_probabilities(made: Any, method: str, seed: int, members: int, rows: int, classes: int) -> None:
    probs, y = made(members, rows, classes, seed)
    got = METHODS[method](probs, y, np.arange(rows)).predict(probs)
    assert got.shape == (rows, classes)
    assert (got >= 0).all()
    assert np.allclose(got.sum(1), 1)


@pytest.mark.parametrize("method", MEANS)
@worlds
@few
def test_a_prediction_is_the_weighted_mean(
    made: Any, method: str, seed: int, members: int, rows: int, classes: int
) -> None:
    probs, y = made(members, rows, classes, seed)
    fitted = METHODS[method](probs, y, np.arange(rows))
    assert np.allclose(fitted.predict(probs), sum(w * p for w, p in zip(fitted.weights_m, probs, strict=True)))


@every_method
@worlds
@few
def test_the_order_of_members_does_not_matter(
    made: Any, method: str, seed: int, members: int, rows: int, classes: int
) -> None:
    probs, y = made(members, rows, classes, seed)
    turned = np.random.default_rng(seed).permutation(members)
    one = METHODS[method](probs, y, np.arange(rows)).predict(probs)
    other = METHODS[method](probs[turned], y, np.arange(rows)).predict(probs[turned])
    assert np.allclose(one, other, atol=1e-3 if method in LOGISTIC else 1e-6)


@pytest.mark.parametrize("method", [*MEANS, "log_pool"])
def test_one_member_is_the_identity(made: Any, method: str) -> None:
    probs, y = made(1, 40)
    assert np.allclose(METHODS[method](probs, y, np.arange(40)).predict(probs), probs[0])


def test_one_voter_decides(made: Any) -> None:
    probs, y = made(1, 40)
    assert (METHODS["majority"](probs, y, np.arange(40)).predict(probs).argmax(1) == probs[0].argmax(1)).all()


@pytest.mark.parametrize("method", ["uniform", "majority", "weighted", "log_pool", "greedy"])  # others: see below
def test_a_copy_of_every_member_changes_nothing(made: Any, method: str) -> None:
    probs, y = made(4, 200)
    doubled = np.concatenate([probs, probs])
    one = METHODS[method](probs, y, np.arange(200)).predict(probs)
    two = METHODS[method](doubled, y, np.arange(200)).predict(doubled)
    if method == "majority":
        assert (one.argmax(1) == two.argmax(1)).all()
    else:
        assert np.allclose(one, two, atol=1e-5)


def test_copies_give_the_diverse_mean_more_weights_to_choose_from_and_never_a_worse_fit(made: Any) -> None:
    probs, y = made(4, 200)
    doubled = np.concatenate([probs, probs])
    one = METHODS["diverse"](probs, y, np.arange(200)).predict(probs)
    two = METHODS["diverse"](doubled, y, np.arange(200)).predict(doubled)
    assert metrics.brier(two, y) <= metrics.brier(one, y) + 1e-9


@pytest.mark.parametrize("method", [m for m in METHODS if m not in SELECTIONS])
@worlds
@few
def test_under_a_budget_it_is_the_method_on_the_members_that_fit(
    made: Any, method: str, seed: int, members: int, rows: int, classes: int
) -> None:
    probs, y = made(members, rows, classes, seed)
    cost = np.random.default_rng(seed).uniform(1, 3, members)
    budget = Budget.of({"parameters": cost}, Limits(parameters=5), members)
    assert budget is not None
    kept, left = [], 5.0
    for m in range(members):
        if cost[m] <= left:
            kept.append(m)
            left -= cost[m]
    fitted = methods(budget=budget)[method](probs, y, np.arange(rows))
    alone = METHODS[method](probs[kept], y, np.arange(rows))
    assert np.allclose(fitted.predict(probs), alone.predict(probs[kept]))
    assert not np.delete(fitted.weights_m, kept).any()


@every_method
@pytest.mark.parametrize("metric", ["accuracy", "nll"])
def test_no_method_breaks_a_budget(made: Any, method: str, metric: str) -> None:
    probs, y = made(8, 150)
    costs = {"parameters": np.arange(8) + 2.0, "latency_ms": 9.0 - np.arange(8)}
    budget = Budget.of(costs, Limits(parameters=14, latency_ms=20, members=3), 8)
    used = methods(metric, budget)[method](probs, y, np.arange(150)).weights_m > 0
    assert 1 <= used.sum() <= 3
    assert costs["parameters"][used].sum() <= 14
    assert costs["latency_ms"][used].sum() <= 20


@every_method
def test_random_labels_score_at_chance(made: Any, method: str) -> None:
    rows = 1400
    probs, _ = made(8, rows)
    y = np.random.default_rng(5).integers(7, size=rows)
    groups = np.arange(rows)
    held = cross_fit(METHODS[method], probs, y, groups, deal(y, groups))
    assert abs(metrics.accuracy(held, y) - 1 / 7) < 4 * np.sqrt(1 / 7 * 6 / 7 / rows)
    assert metrics.nll(held, y) > np.log(7) - 0.01


@every_method
def test_random_labels_of_copied_images_score_at_chance(made: Any, method: str) -> None:
    probs, _ = made(30, 200)
    y = np.random.default_rng(5).integers(7, size=200)
    twice, y, groups = np.tile(probs, (1, 2, 1)), np.tile(y, 2), np.tile(np.arange(200), 2)
    held = cross_fit(METHODS[method], twice, y, groups, deal(y, groups))
    assert abs(metrics.accuracy(held, y) - 1 / 7) < 4 * np.sqrt(1 / 7 * 6 / 7 / 200)


def test_without_groups_copied_images_would_leak(made: Any) -> None:
    probs, _ = made(30, 200)
    y = np.random.default_rng(5).integers(7, size=200)
    twice, y, groups = np.tile(probs, (1, 2, 1)), np.tile(y, 2), np.arange(400)
    held = cross_fit(METHODS["logistic"], twice, y, groups, deal(y, groups))
    assert metrics.accuracy(held, y) > 0.3


# Cross-fitting, the choice, the figures.


def sure(right: np.ndarray) -> np.ndarray:
    """Return rows x 2 that put label 0 first where ``right``."""
    return np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])


def test_equals_go_to_the_simplest() -> None:
    same = sure(np.arange(100) < 70)
    assert choose(dict.fromkeys(METHODS, same), np.zeros(100, int), np.arange(100), "accuracy") == "uniform"


def test_a_gain_above_one_standard_error_is_taken() -> None:
    held = {"uniform": sure(np.arange(100) < 70), "greedy": sure(np.arange(100) < 74)}  # 4 rows, SE 2
    assert choose(held, np.zeros(100, int), np.arange(100), "accuracy") == "greedy"


def test_a_gain_within_one_standard_error_is_left() -> None:
    better = np.arange(100) < 70
    better[:20], better[70:92] = False, True  # 22 rows won, 20 lost: 2 rows, SE 6.5
    held = {"uniform": sure(np.arange(100) < 70), "greedy": sure(better)}
    assert choose(held, np.zeros(100, int), np.arange(100), "accuracy") == "uniform"


def test_one_row_won_is_no_gain() -> None:
    held = {"uniform": sure(np.arange(100) < 70), "greedy": sure(np.arange(100) < 71)}
    assert choose(held, np.zeros(100, int), np.arange(100), "accuracy") == "uniform"


def test_copies_of_an_image_are_one_observation() -> None:
    better = np.arange(100) < 75
    better[0] = False  # 5 rows won, 1 lost: 4 rows, SE 2.4
    held = {"uniform": sure(np.arange(100) < 70), "greedy": sure(better)}
    assert choose(held, np.zeros(100, int), np.arange(100), "accuracy") == "greedy"
    groups = np.arange(100)
    groups[70:75] = 70  # the five rows that were won are one image: SE 4.9
    assert choose(held, np.zeros(100, int), groups, "accuracy") == "uniform"


def test_the_study_s_metric_decides(made: Any) -> None:
    probs, y = made(1, 300)
    flat = probs[0] ** 0.2
    held = {"uniform": flat / flat.sum(1, keepdims=True), "logistic": probs[0]}
    assert choose(held, y, np.arange(300), "accuracy") == "uniform"
    assert choose(held, y, np.arange(300), "nll") == "logistic"


def test_row_scores_average_to_the_metric(made: Any) -> None:
    probs, y = made(1, 300)
    assert row_scores("accuracy", probs[0], y).mean() == pytest.approx(metrics.accuracy(probs[0], y))
    assert row_scores("balanced_accuracy", probs[0], y).mean() == pytest.approx(metrics.balanced_accuracy(probs[0], y))
    assert row_scores("nll", probs[0], y).mean() == pytest.approx(-metrics.nll(probs[0], y))
    assert (row_scores("macro_f1", probs[0], y) == row_scores("balanced_accuracy", probs[0], y)).all()
    assert (row_scores("ece", probs[0], y) == row_scores("nll", probs[0], y)).all()


def test_figures_hold_the_interval_of_the_accuracy(made: Any) -> None:
    probs, y = made(1, 300)
    got = scored(probs[0], y, np.arange(300))
    assert set(got) == {"accuracy", "balanced_accuracy", "macro_f1", "nll", "ece", "ci95"}
    assert got["ci95"][0] < got["accuracy"] < got["ci95"][1]


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (3, 9), (40, 41), (700, 600)])
def test_mcnemar_is_the_exact_binomial_test(only_a: int, only_b: int) -> None:
    from scipy.stats import binomtest

    a = np.concatenate([np.ones(only_a), np.zeros(only_b), np.ones(50)]).astype(bool)
    b = np.concatenate([np.zeros(only_a), np.ones(only_b), np.ones(50)]).astype(bool)
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    y = np.zeros(len(a), int)
    alone, pairs = np.arange(len(a)), np.repeat(np.arange(len(a)), 2)
    assert mcnemar(sure(a), sure(b), y, alone) == pytest.approx(expected)
    assert mcnemar(sure(b), sure(a), y, alone) == pytest.approx(expected)
    twice = sure(np.repeat(a, 2)), sure(np.repeat(b, 2)), np.repeat(y, 2)
    assert mcnemar(*twice, pairs) == pytest.approx(expected), "copies are one observation"


def test_a_method_is_called_what_its_fit_says(made: Any) -> None:
    probs, y = made(2, 30)
    for name, fit in METHODS.items():
        fitted = fit(probs, y, np.arange(30))
        assert isinstance(fitted, Combination)
        assert fitted.method == name
        assert (fitted.meta is not None) == (name in {"log_pool", *LOGISTIC})
