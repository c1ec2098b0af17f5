"""Orders of the training rows: how often each class and row is seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferhpo.space.config import SAMPLINGS
from ferhpo.training.balance import NEAREST, blends, length, neighbours, order

BALANCED = [sampling for sampling in SAMPLINGS if sampling != "none"]
sizes = st.lists(st.integers(1, 40), min_size=2, max_size=6)


def labels_of(counts: list[int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


@given(sizes, st.sampled_from(BALANCED), st.integers(0, 2**32))
def test_an_order_has_its_length_and_the_generator_decides_it(counts: list[int], sampling: str, seed: int) -> None:
    labels = labels_of(counts)
    first, again = (order(labels, sampling, np.random.default_rng(seed)) for _ in range(2))
    assert len(first) == length(labels, sampling)
    assert (first == again).all()


@pytest.mark.parametrize(("sampling", "often"), [("oversample", max), ("smote", max), ("undersample", min)])
@given(counts=sizes, seed=st.integers(0, 2**32))
def test_every_class_is_seen_as_often_as_the_largest_or_the_smallest(
    sampling: str, often: type, counts: list[int], seed: int
) -> None:
    labels = labels_of(counts)
    found = order(labels, sampling, np.random.default_rng(seed))
    assert np.bincount(labels[found]).tolist() == [often(counts)] * len(counts)


@given(sizes, st.integers(0, 2**32))
def test_oversampling_leaves_no_row_behind_and_shows_none_much_more(counts: list[int], seed: int) -> None:
    labels = labels_of(counts)
    seen = np.bincount(order(labels, "oversample", np.random.default_rng(seed)), minlength=len(labels))
    for c in range(len(counts)):
        assert np.ptp(seen[labels == c]) <= 1
        assert seen[labels == c].min() >= 1


@given(sizes, st.integers(0, 2**32))
def test_every_run_of_a_balanced_order_has_each_class_once(counts: list[int], seed: int) -> None:
    labels = labels_of(counts)
    found = labels[order(labels, "balanced", np.random.default_rng(seed))]
    whole = len(found) // len(counts) * len(counts)
    assert (np.sort(found[:whole].reshape(-1, len(counts)), axis=1) == np.arange(len(counts))).all()


def test_undersampling_takes_other_rows_each_time() -> None:
    labels = labels_of([3, 60])
    rng = np.random.default_rng(0)
    assert set(order(labels, "undersample", rng).tolist()) != set(order(labels, "undersample", rng).tolist())


def test_neighbours_are_the_nearest_of_the_class_and_a_small_class_repeats_what_it_has() -> None:
    labels = np.array([0] * 9 + [1] * 8 + [2] * 3 + [3])
    at = np.random.default_rng(0).permutation(np.arange(len(labels)) * 3.0)
    found = neighbours(np.stack([at, -at], 1).astype(np.float32), labels)
    assert (found[labels == 0] == np.flatnonzero(labels == 0)[:, None]).all(), "the largest class needs none"
    for row in np.flatnonzero(labels == 1):
        others = np.setdiff1d(np.flatnonzero(labels == 1), row)
        assert set(found[row]) == set(others[np.argsort(abs(at[others] - at[row]))[:NEAREST]])
    assert [set(found[row]) for row in (17, 18, 19)] == [{18, 19}, {17, 19}, {17, 18}]
    assert set(found[20]) == {20}


@given(sizes, st.integers(0, 2**32))
def test_each_row_comes_once_as_it_is_and_repeats_are_blended_within_their_class(counts: list[int], seed: int) -> None:
    labels, rng = labels_of(counts), np.random.default_rng(seed)
    nearest = neighbours(rng.random((len(labels), 4), dtype=np.float32), labels)
    places = order(labels, "smote", rng)
    partner, share = blends(places, nearest, rng)
    assert (labels[partner] == labels[places]).all()
    assert set(places[share == 0].tolist()) == set(range(len(labels)))
    assert (share[share != 0] < 1).all()
