from statistics import fmean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferhpo.search.schedulers.median import ENOUGH, MedianRule

curves = st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=ENOUGH + 1, max_size=12)


@given(curves, st.booleans(), st.integers(1, 4))
def test_the_rule_is_the_papers(found: list[list[float]], maximize: bool, epoch: int) -> None:
    rule = MedianRule(grace=1, maximize=maximize)
    *others, own = found
    for number, curve in enumerate(others):
        rule.record(number, dict(enumerate(curve, 1)))
    rule.record(99, dict(enumerate(own[: epoch - 1], 1)))
    bar = median(fmean(curve[:epoch]) for curve in others)
    best = max(own[:epoch]) if maximize else min(own[:epoch])
    assert rule.goes_on(99, epoch, own[epoch - 1]) == (best >= bar if maximize else best <= bar)


def test_nobody_is_judged_against_few() -> None:
    rule = MedianRule(grace=1, maximize=True)
    assert all(rule.goes_on(number, 1, 1 - number / 10) for number in range(ENOUGH))
    assert not rule.goes_on(ENOUGH, 1, 0.0)


def test_trials_that_never_reached_an_epoch_set_no_bar_there() -> None:
    rule = MedianRule(grace=1, maximize=True)
    for number in range(ENOUGH):
        rule.record(number, {1: 0.9})
    assert rule.goes_on(99, 2, 0.1)


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_good_value_of_an_earlier_epoch_is_not_forgotten(epoch: int) -> None:
    rule = MedianRule(grace=2, maximize=True)
    for number in range(ENOUGH):
        rule.record(number, {1: 0.5, 2: 0.5, 3: 0.5})
    rule.record(99, {epoch: 0.6})
    assert rule.goes_on(99, 3, 0.1)
