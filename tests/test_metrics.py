"""Every figure against scikit-learn or a plain loop."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings

from ferhpo import metrics
from ferhpo.errors import UsageError
from tests.classified import SEEDS, made_up


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_figures_are_those_of_scikit_learn(seed: int) -> None:
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss

    probs, y = made_up(seed)
    guess = probs.argmax(1)
    found = metrics.figures(probs, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about classes that do not occur
        assert found["accuracy"] == pytest.approx(accuracy_score(y, guess))
        assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, guess))
        assert found["macro_f1"] == pytest.approx(f1_score(y, guess, average="macro"))
        clipped = np.clip(probs, metrics.EPS, None)
        labels = list(range(probs.shape[1]))
        assert found["nll"] == pytest.approx(log_loss(y, clipped / clipped.sum(1, keepdims=True), labels=labels))


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_ece_is_the_weighted_gap_between_confidence_and_accuracy_of_each_bin(seed: int) -> None:
    probs, y = made_up(seed)
    confidence, right = probs.max(1), probs.argmax(1) == y
    total = 0.0
    for low in range(15):
        inside = (confidence >= low / 15) & (confidence < (low + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert metrics.ece(probs, y) == pytest.approx(total)


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_figures_stay_in_their_range_and_do_not_depend_on_the_order_of_rows(seed: int) -> None:
    probs, y = made_up(seed)
    found = metrics.figures(probs, y)
    assert all(0 <= found[name] <= 1 for name in ("accuracy", "balanced_accuracy", "macro_f1", "ece"))
    assert found["nll"] >= 0
    order = np.random.default_rng(seed).permutation(len(y))
    assert metrics.figures(probs[order], y[order]) == pytest.approx(found)


def test_a_label_of_probability_zero_costs_much_but_not_infinity() -> None:
    assert metrics.nll(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-np.log(metrics.EPS))


def test_a_perfect_prediction_has_perfect_figures() -> None:
    found = metrics.figures(np.eye(3), np.arange(3))
    assert found == {"accuracy": 1.0, "balanced_accuracy": 1.0, "macro_f1": 1.0, "nll": 0.0, "ece": 0.0}


def test_confusion_counts_labels_in_rows_and_predictions_in_columns() -> None:
    table = metrics.confusion(np.eye(3)[[0, 1, 1]], np.array([0, 0, 2]))
    assert table.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_figures_names_every_metric() -> None:
    assert metrics.figures(np.eye(2), np.arange(2)).keys() == metrics.METRICS.keys()


def test_a_metric_knows_which_way_is_better() -> None:
    assert metrics.metric("accuracy").better(0.9, 0.8)
    assert metrics.metric("nll").better(0.8, 0.9)
    assert not metrics.metric("accuracy").better(0.8, 0.8)
    assert [m.direction for m in metrics.METRICS.values()] == ["maximize"] * 3 + ["minimize"] * 2


def test_an_unknown_metric_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="got 'acuracy'; did you mean 'accuracy'"):
        metrics.metric("acuracy")
