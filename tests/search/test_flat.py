import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferhpo.search.flat import ENOUGH, expected_improvement

histories = st.lists(st.floats(0, 1), min_size=ENOUGH, max_size=80)


def test_nothing_is_expected_of_few_trials() -> None:
    assert expected_improvement([0.5] * (ENOUGH - 1), 10, maximize=True) is None


def test_equal_values_promise_nothing() -> None:
    assert expected_improvement([0.5] * 40, 1000, maximize=True) == 0


@given(histories, st.integers(0, 200))
def test_a_loss_is_a_mirrored_score(values: list[float], rest: int) -> None:
    up = expected_improvement(values, rest, maximize=True)
    assert up == expected_improvement([-v for v in values], rest, maximize=False)
    assert up is not None
    assert up >= 0


@given(histories, st.integers(0, 200))
def test_more_trials_promise_no_less(values: list[float], rest: int) -> None:
    fewer, more = (expected_improvement(values, m, maximize=True) for m in (rest, rest + 1))
    assert fewer is not None
    assert more is not None
    assert more >= fewer


def test_the_promise_is_kept_by_an_exponential_tail() -> None:
    rng = np.random.default_rng(0)
    expected, gained = [], []
    for _ in range(600):
        values = rng.exponential(0.1, 400)
        promise = expected_improvement(list(values[:200]), 200, maximize=True)
        assert promise is not None
        expected.append(promise)
        gained.append(max(0.0, values[200:].max() - values[:200].max()))
    assert np.mean(expected) == pytest.approx(np.mean(gained), rel=0.2)


def test_near_a_ceiling_it_promises_too_much_rather_than_too_little() -> None:
    rng = np.random.default_rng(0)
    expected, gained = [], []
    for _ in range(300):
        values = rng.uniform(0, 1, 120)
        expected.append(expected_improvement(list(values[:60]), 60, maximize=True))
        gained.append(max(0.0, values[60:].max() - values[:60].max()))
    assert np.mean(expected) > np.mean(gained)


def test_a_search_that_found_its_best_long_ago_promises_little() -> None:
    rng = np.random.default_rng(0)
    poor = list(rng.normal(0.4, 0.02, 60))
    stale = expected_improvement([0.9, *poor], 50, maximize=True)
    fresh = expected_improvement(poor, 50, maximize=True)
    assert stale is not None
    assert fresh is not None
    assert stale < 1e-6 < fresh
