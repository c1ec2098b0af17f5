"""What is shown against scikit-learn; intervals against values of the literature and simulations."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from ferhpo import metrics, scoring
from tests.classified import SEEDS, made_up


def test_scored_adds_the_interval_of_the_accuracy() -> None:
    probs, y = made_up(3)
    found = scoring.scored(probs, y, np.arange(len(y)))
    assert found["ci95"] == list(scoring.wilson(metrics.accuracy(probs, y), len(y)))


@pytest.mark.parametrize(
    ("share", "n", "expected"),
    [(0.8, 10, (0.490, 0.943)), (0.73, 3589, (0.715, 0.744)), (0.0, 20, (0.0, 0.161)), (1.0, 20, (0.839, 1.0))],
)
def test_wilsons_interval_has_its_known_values(share: float, n: int, expected: tuple[float, float]) -> None:
    assert scoring.wilson(share, n) == pytest.approx(expected, abs=6e-4)


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_everything_that_is_shown_is_that_of_scikit_learn(seed: int) -> None:
    from sklearn.metrics import confusion_matrix, mean_squared_error, precision_recall_fscore_support, r2_score

    probs, y = made_up(seed)
    classes, guess = probs.shape[1], probs.argmax(1)
    found = scoring.evaluated(probs, y, np.arange(len(y)))
    onehot = np.eye(classes)[y]
    assert found["confusion"] == confusion_matrix(y, guess, labels=range(classes)).tolist()
    assert found["mse"] == pytest.approx(mean_squared_error(onehot, probs))
    assert found["brier"] == pytest.approx(classes * found["mse"])
    varied = onehot.var(0) > 0
    if varied.any():
        assert found["r2"] == pytest.approx(r2_score(onehot[:, varied], probs[:, varied]))
    else:
        assert found["r2"] is None
    without: Any = 0  # what stands where nothing can be divided
    every: Any = precision_recall_fscore_support(y, guess, labels=range(classes), zero_division=without)
    for name, values in zip(("precision", "recall", "f1", "rows"), every, strict=True):
        assert found["per_class"][name] == pytest.approx(list(values))
    for average in ("macro", "weighted"):
        means = precision_recall_fscore_support(y, guess, average=average, zero_division=without)
        for name, value in zip(("precision", "recall", "f1"), means, strict=False):
            assert found[average][name] == pytest.approx(value)
    assert found["macro"]["f1"] == pytest.approx(found["macro_f1"])
    assert found["majority"] == np.bincount(y).max() / len(y)
    assert found.items() >= scoring.scored(probs, y, np.arange(len(y))).items()


def test_always_naming_the_commonest_class_does_not_beat_itself() -> None:
    y = np.repeat([0, 1], [70, 30])
    named = np.tile([0.9, 0.1], (100, 1))
    found = scoring.evaluated(named, y, np.arange(100))
    assert (found["accuracy"], found["majority"], found["beats_majority"]) == (0.7, 0.7, False)
    right = np.where(y[:, None] == 0, [0.9, 0.1], [0.1, 0.9])
    assert scoring.evaluated(right, y, np.arange(100))["beats_majority"]


def test_a_bootstrap_interval_is_as_wide_as_the_standard_error_says() -> None:
    y = np.zeros(400, int)
    probs = np.where(np.arange(400)[:, None] < 300, [0.8, 0.2], [0.2, 0.8])
    found = scoring.bootstrap(probs, y, np.arange(400), draws=4000)
    error = np.sqrt(0.75 * 0.25 / 400)
    assert found["accuracy"] == pytest.approx([0.75 - 1.96 * error, 0.75 + 1.96 * error], abs=0.004)
    loss = -np.log([0.8, 0.2])
    width = 1.96 * error * (loss[1] - loss[0])
    assert found["nll"] == pytest.approx([metrics.nll(probs, y) - width, metrics.nll(probs, y) + width], abs=0.01)


def test_copies_of_an_image_widen_a_bootstrap_interval() -> None:
    y = np.zeros(400, int)
    probs = np.where(np.arange(400)[:, None] < 300, [0.8, 0.2], [0.2, 0.8])
    alone = scoring.bootstrap(probs, y, np.arange(400))["accuracy"]
    paired = scoring.bootstrap(probs, y, np.arange(400) // 4)["accuracy"]
    assert np.ptp(paired) == pytest.approx(2 * np.ptp(alone), rel=0.15)


def test_few_groups_tell_no_bootstrap_interval() -> None:
    probs, y = made_up(0)
    rows = np.arange(len(y))
    assert scoring.evaluated(probs, y, rows % (scoring.FEW - 1))["bootstrap95"] is None
    low, high = scoring.evaluated(probs, y, rows % scoring.FEW)["bootstrap95"]["accuracy"]
    assert low < high


def test_a_bootstrap_of_many_classes_fits_into_memory() -> None:
    probs = np.full((600, 600), 1 / 600)
    tracemalloc.start()
    scoring.bootstrap(probs, np.arange(600), np.arange(600), draws=20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6, "a table of 600 x 600 for every row would be 1.7 GB"


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_bootstrap_draws_are_the_figures_of_drawn_rows(seed: int) -> None:
    probs, y = made_up(seed)
    one = scoring.bootstrap(
        probs, y, np.zeros(len(y), int), draws=3
    )  # a single group: every draw is the rows as they are
    found = metrics.figures(probs, y)
    for name, interval in one.items():
        assert interval == pytest.approx([found[name], found[name]])
    assert scoring.bootstrap(probs, y, np.arange(len(y)), draws=5) == scoring.bootstrap(
        probs, y, np.arange(len(y)), draws=5
    )


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_copies_tell_no_more_than_their_images(seed: int) -> None:
    probs, y = made_up(seed)
    right = probs.argmax(1) == y
    found = scoring.independent(np.repeat(right, 6), np.repeat(np.arange(len(y)), 6))
    assert type(found) is float
    nothing_tells = len(set(right)) < 2  # whether rows of a group are alike
    assert len(y) <= found <= (2 if nothing_tells else 1.15) * len(y)


@pytest.mark.parametrize("people", [4, 10, 40])
def test_the_interval_over_people_holds_the_truth_as_often_as_it_says(people: int) -> None:
    each, held = 15, 0
    groups = np.repeat(np.arange(people), each)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        right = rng.random(people * each) < np.repeat(rng.beta(2, 2, people), each)
        low, high = scoring.wilson(right.mean(), scoring.independent(right, groups))
        held += low <= 0.5 <= high
    assert held > 0.92 * 200


def test_groups_whose_rows_are_alike_count_once_each() -> None:
    right = np.array([True, False, True, False])
    assert scoring.independent(np.repeat(right, 5), np.arange(4).repeat(5)) == pytest.approx(4)
    assert scoring.independent(right, np.arange(4)) == 4
    assert scoring.independent(right, np.zeros(4)) == 1


@pytest.mark.parametrize(("people", "each"), [(6, 50), (20, 30), (3, 4)])
def test_one_more_mistake_makes_no_interval_end_higher_or_much_narrower(people: int, each: int) -> None:
    groups, right = np.arange(people).repeat(each), np.ones(people * each, bool)
    before = scoring.wilson(1.0, scoring.independent(right, groups))
    right[0] = False
    after = scoring.wilson(right.mean(), scoring.independent(right, groups))
    assert after[1] < before[1]
    assert abs(after[0] - before[0]) < 0.1
