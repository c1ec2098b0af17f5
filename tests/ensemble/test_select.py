from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferhpo.ensemble.cost import Budget, Limits
from ferhpo.ensemble.select import bagged, diverse, greedy, split_off_label
from ferhpo.metrics import METRICS, accuracy, balanced_accuracy, brier, macro_f1, nll

CLIMBED = {  # higher is better
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "nll": lambda probs, y: -nll(probs, y),
    "ece": lambda probs, y: -nll(probs, y),
}


def brute(probs: np.ndarray, y: np.ndarray, rounds: int, metric: str, cost: np.ndarray, limit: float) -> np.ndarray:
    """Return greedy weights by trying each member in each round."""
    bag: list[int] = []
    best, highest = bag, -np.inf
    for _ in range(rounds):
        free = [m for m in range(len(probs)) if m in bag or cost[list({*bag, m})].sum() <= limit]
        tried = {m: probs[[*bag, m]].mean(0) for m in free}
        top = max(CLIMBED[metric](p, y) for p in tried.values())
        tied = [m for m, p in tried.items() if CLIMBED[metric](p, y) >= top - 1e-7]
        tied = [m for m in tied if m in bag] or tied
        bag = [*bag, min(tied, key=lambda m: (round(nll(tried[m], y), 7), m))]
        if top > highest + 1e-7:
            best, highest = bag, top
    return np.bincount(best, minlength=len(probs)) / len(best)


@pytest.mark.parametrize("metric", METRICS)
@given(seed=st.integers(0, 10_000), members=st.integers(3, 5), rounds=st.integers(1, 6))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_it_takes_the_way_of_brute_force(made: Any, metric: str, seed: int, members: int, rounds: int) -> None:
    probs, y = made(members, 60, seed=seed)
    expected = brute(probs, y, rounds, metric, np.ones(members), np.inf)
    assert np.allclose(greedy(probs, y, rounds, metric=metric), expected)


@given(seed=st.integers(0, 10_000), limit=st.floats(3, 9))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_under_a_budget_it_takes_the_way_of_brute_force(made: Any, seed: int, limit: float) -> None:
    probs, y = made(5, 60, seed=seed)
    cost = np.random.default_rng(seed).uniform(1, 3, 5)
    budget = Budget.of({"parameters": cost}, Limits(parameters=limit), 5)
    assert np.allclose(greedy(probs, y, 6, budget=budget), brute(probs, y, 6, "accuracy", cost, limit))


@given(seed=st.integers(0, 10_000), members=st.integers(1, 6))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_first_pick_is_the_best_single(made: Any, seed: int, members: int) -> None:
    probs, y = made(members, 80, seed=seed)
    picked = greedy(probs, y, 1).argmax()
    assert accuracy(probs[picked], y) == max(accuracy(p, y) for p in probs)


@given(seed=st.integers(0, 10_000), members=st.integers(1, 6))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_rows_it_climbed_on_never_score_below_the_best_single(made: Any, seed: int, members: int) -> None:
    probs, y = made(members, 80, seed=seed)
    ensemble = np.tensordot(greedy(probs, y), probs, 1)
    assert accuracy(ensemble, y) >= max(accuracy(p, y) for p in probs)


def test_a_copy_of_a_member_is_never_needed(made: Any) -> None:
    probs, y = made(4, 200)
    doubled = greedy(np.concatenate([probs, probs]), y)
    assert np.allclose(doubled[:4], greedy(probs, y))
    assert not doubled[4:].any()


def test_equally_accurate_members_are_told_apart_by_nll() -> None:
    y = np.array([0, 1])
    weak, strong = np.array([[0.6, 0.4], [0.4, 0.6]]), np.array([[0.9, 0.1], [0.1, 0.9]])
    assert greedy(np.stack([weak, strong]), y).tolist() == [0, 1]


def test_the_shortest_of_equally_good_prefixes_is_kept(made: Any) -> None:
    perfect = np.eye(7)[np.arange(20) % 7] * 0.9 + 0.1 / 7
    probs, _ = made(3, 20)
    assert greedy(np.concatenate([probs, perfect[None]]), np.arange(20) % 7).tolist() == [0, 0, 0, 1]


def test_label_and_others_are_all_probabilities_of_a_row(made: Any) -> None:
    probs, y = made(3, 50)
    label, others = split_off_label(probs, y)
    assert np.allclose(label + others.sum(0), 1)
    assert ((label > others.max(0)) == (probs.argmax(2) == y)).all()


@pytest.mark.parametrize("classes", [2, 3])
def test_few_classes_are_enough(made: Any, classes: int) -> None:
    probs, y = made(3, 40, classes=classes)
    assert greedy(probs, y).sum() == pytest.approx(1)


@given(seed=st.integers(0, 10_000), members=st.integers(1, 5))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_the_diverse_set_is_that_of_brute_force(made: Any, seed: int, members: int) -> None:
    probs, y = made(members, 60, seed=seed)
    bag: list[int] = []
    while len(bag) < members:
        tried = {m: brier(probs[[*bag, m]].mean(0), y) for m in range(members) if m not in bag}
        pick = min(tried, key=lambda m: (round(tried[m], 8), m))
        if bag and tried[pick] >= brier(probs[bag].mean(0), y) - 1e-9:
            break
        bag.append(pick)
    assert np.allclose(diverse(probs, y), np.bincount(bag, minlength=members) / len(bag))


def test_of_two_equally_good_partners_the_one_that_errs_elsewhere_is_taken() -> None:
    y = np.zeros(30, int)
    sure, unsure = [0.8, 0.2], [0.3, 0.7]
    first = np.where(np.arange(30)[:, None] < 10, unsure, sure)  # wrong on 0 to 9
    alike = np.where(np.arange(30)[:, None] < 11, unsure, sure)  # wrong on 0 to 10
    other = np.where(np.arange(30)[:, None] >= 19, unsure, sure)  # wrong on 19 to 29
    assert diverse(np.stack([first, alike, other]), y).tolist() == [0.5, 0, 0.5]


def test_a_bagged_choice_spreads_over_more_members_than_a_greedy_one(made: Any) -> None:
    probs, y = made(12, 300)
    assert np.count_nonzero(bagged(probs, y)) > np.count_nonzero(greedy(probs, y))


def test_bags_are_the_same_each_time_and_lie_over_members_not_places(made: Any) -> None:
    probs, y = made(6, 100)
    turned = np.random.default_rng(0).permutation(6)
    assert (bagged(probs, y) == bagged(probs, y)).all()
    assert np.allclose(bagged(probs[turned], y), bagged(probs, y)[turned])


def test_one_bag_of_all_members_is_greedy(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    probs, y = made(4, 100)
    monkeypatch.setattr(np.random, "default_rng", lambda _: SimpleNamespace(random=np.zeros))
    assert np.allclose(bagged(probs, y, bags=1), greedy(probs, y))


def test_rows_that_no_mixture_can_turn_change_no_choice(made: Any) -> None:
    probs, y = made(4, 100)
    certain = np.tile(np.eye(7)[np.arange(200) % 7] * 0.3 + 0.1, (4, 1, 1))
    labels = np.where(np.arange(200) < 100, np.arange(200) % 7, (np.arange(200) + 1) % 7)
    assert np.allclose(greedy(np.concatenate([probs, certain], 1), np.append(y, labels)), greedy(probs, y))
