from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferhpo.ensemble.select import greedy, split_off_label
from ferhpo.metrics import accuracy, nll


def brute(probs: np.ndarray, y: np.ndarray, rounds: int) -> list[list[int]]:
    """Return every prefix of the greedy way, by trying each member in each round."""
    bag: list[int] = []
    prefixes = []
    for _ in range(rounds):
        trials = [(probs[[*bag, m]].mean(0), m) for m in range(len(probs))]
        ranked = [(-round(accuracy(p, y) * len(y)), m not in bag, round(nll(p, y), 9), m) for p, m in trials]
        if not bag:
            ranked = [(a, False, b, m) for a, _, b, m in ranked]
        top = min(r[0] for r in ranked)
        tied = [r for r in ranked if r[0] == top]
        bag.append(min(tied)[3])
        prefixes.append(list(bag))
    return prefixes


@given(seed=st.integers(0, 10_000), rounds=st.integers(1, 6))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_it_takes_the_way_of_brute_force(made: Any, seed: int, rounds: int) -> None:
    probs, y = made(3, 60, seed=seed)
    prefixes = brute(probs, y, rounds)
    scores = [round(accuracy(probs[bag].mean(0), y) * 60) for bag in prefixes]
    best = prefixes[scores.index(max(scores))]
    assert np.allclose(greedy(probs, y, rounds), np.bincount(best, minlength=3) / len(best))


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
