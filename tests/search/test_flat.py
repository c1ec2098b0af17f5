import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferhpo.metrics import metric
from ferhpo.search.flat import ENOUGH, expected_improvement

histories = st.lists(st.floats(0, 1), min_size=ENOUGH, max_size=80).filter(
    lambda values: max(map(values.count, values)) < ENOUGH // 2  # more equal ones tell nothing
)


def test_nothing_is_expected_of_few_trials() -> None:
    assert expected_improvement([0.5] * (ENOUGH - 1), 10, maximize=True) is None


@pytest.mark.parametrize("maximize", [True, False])
def test_equal_values_promise_nothing_where_none_is_better(maximize: bool) -> None:
    perfect = metric("accuracy" if maximize else "nll").perfect
    assert expected_improvement([perfect] * 40, 1000, maximize=maximize, perfect=perfect) == 0


@pytest.mark.parametrize("maximize", [True, False])
def test_trials_that_all_collapsed_tell_nothing(maximize: bool) -> None:
    worse = 0.2 if maximize else 0.3
    values = [worse, 0.25, 0.25] * 20
    assert expected_improvement(values, 10, maximize=maximize, perfect=metric("accuracy").perfect) is None
    assert expected_improvement([*values, 0.26 if maximize else 0.24], 10, maximize=maximize) is not None


def test_equal_values_below_an_earlier_one_promise_nothing() -> None:
    assert expected_improvement([0.6, *[0.25] * 40], 1000, maximize=True) == 0


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
