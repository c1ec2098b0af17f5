from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferhpo.ensemble.folds import cross_fit, deal
from ferhpo.errors import StudyError


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), min_size=2, max_size=200), st.integers(2, 5))
@settings(deadline=None)
def test_identical_images_share_a_fold(rows: list[tuple[int, int]], folds: int) -> None:
    y_n, groups_n = np.array(rows).T
    if len(np.unique(groups_n)) < 2:
        return
    fold_n = deal(y_n, groups_n, folds)
    for group in np.unique(groups_n):
        assert len(np.unique(fold_n[groups_n == group])) == 1
    assert set(fold_n) == set(range(min(folds, len(np.unique(groups_n)))))


def test_every_class_is_spread_to_within_one_row() -> None:
    y_n = np.random.default_rng(0).choice(7, 3589, p=[0.14, 0.015, 0.14, 0.25, 0.17, 0.115, 0.17])
    fold_n = deal(y_n, np.arange(3589))
    for label in range(7):
        counts = np.bincount(fold_n[y_n == label], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert np.ptp(np.bincount(fold_n)) <= 1


@pytest.mark.parametrize(("people", "share"), [(20, 0.27), (40, 0.23), (118, 0.21)])
def test_people_with_very_unequal_numbers_of_images_make_even_folds(people: int, share: float) -> None:
    largest = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        groups_n = np.arange(people).repeat(np.maximum(1, rng.lognormal(2, 1, people).astype(int)))
        largest.append(np.bincount(deal(rng.integers(7, size=len(groups_n)), groups_n)).max() / len(groups_n))
    assert np.mean(largest) < share


def test_a_class_that_is_nobodys_commonest_is_in_every_fold() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        groups_n = np.arange(30).repeat(20)
        y_n = np.where(np.arange(600) % 20 < 3, 1, 0)  # three rows of each of ...
        y_n[groups_n >= 5] = 0  # ... five people
        order = rng.permutation(600)
        fold_n = deal(y_n[order], groups_n[order])
        assert np.bincount(fold_n[y_n[order] == 1], minlength=5).tolist() == [3] * 5


def test_the_same_rows_lie_in_the_same_folds() -> None:
    y_n = np.random.default_rng(0).integers(3, size=50)
    assert (deal(y_n, np.arange(50)) == deal(y_n, np.arange(50))).all()


def test_it_is_as_even_as_scikit_learn() -> None:
    from sklearn.model_selection import StratifiedGroupKFold

    rng = np.random.default_rng(1)
    y_n, groups_n = rng.integers(4, size=300), rng.integers(250, size=300)
    y_n = y_n[np.unique(groups_n, return_index=True)[1][np.unique(groups_n, return_inverse=True)[1]]]
    fold_n = deal(y_n, groups_n)
    theirs = np.empty(300, int)
    for fold, (_, held) in enumerate(StratifiedGroupKFold(5).split(y_n, y_n, groups_n)):
        theirs[held] = fold

    def unevenness(fold_n: np.ndarray) -> float:
        return max(np.bincount(fold_n[y_n == label], minlength=5).std() for label in range(4))

    assert unevenness(fold_n) <= unevenness(theirs) + 2


def test_a_single_image_cannot_be_cross_fitted() -> None:
    with pytest.raises(StudyError, match=r"at least 2 groups .*, got 1; raise val in \[data\]"):
        deal(np.zeros(4, int), np.zeros(4, int))


def test_no_row_is_scored_by_a_fit_that_saw_it_or_its_copy(made: Any) -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(60, size=100)
    _, y = made(1, 100)
    probs = np.repeat(groups[None, :, None], 7, axis=2).astype(float)  # a row's "probability" tells its image
    scored: list[int] = []

    class Probe:
        def __init__(self, seen: set[int]) -> None:
            self.seen = seen

        def predict(self, probs_mnc: np.ndarray) -> np.ndarray:
            images = set(probs_mnc[0, :, 0].astype(int).tolist())
            assert not images & self.seen
            scored.extend(images)
            return probs_mnc[0]

    def fit(probs_mnc: np.ndarray, y_n: np.ndarray, groups_n: np.ndarray) -> Any:
        assert probs_mnc.shape[1] == len(y_n) == len(groups_n)
        assert (probs_mnc[0, :, 0] == groups_n).all()
        return Probe(set(groups_n.tolist()))

    held = cross_fit(fit, probs, y, groups, deal(y, groups))
    assert (held == probs[0]).all()
    assert sorted(scored) == sorted(set(groups.tolist()))
