import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferhpo.search.asha import Halving, among_best, rungs

values = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(st.integers(1, 10), st.integers(2, 5), st.integers(1, 200))
def test_rungs_are_powers_of_the_reduction_below_the_budget(grace: int, reduction: int, epochs: int) -> None:
    found = rungs(grace, reduction, epochs)
    assert all(rung < epochs for rung in found)
    assert list(found) == [grace * reduction**i for i in range(len(found))]
    assert grace * reduction ** len(found) >= epochs


@given(values, st.integers(2, 5), st.booleans())
def test_the_best_value_always_goes_on(everyone: list[float], reduction: int, maximize: bool) -> None:
    best = max(everyone) if maximize else min(everyone)
    assert among_best(best, everyone, reduction, maximize=maximize)


@given(values.filter(lambda v: len(set(v)) == len(v)), st.integers(2, 5))
def test_of_distinct_values_one_in_so_many_goes_on(everyone: list[float], reduction: int) -> None:
    kept = [v for v in everyone if among_best(v, everyone, reduction, maximize=True)]
    assert len(kept) == max(1, len(everyone) // reduction)


@pytest.mark.parametrize("maximize", [True, False])
def test_a_trial_is_judged_only_at_rungs_and_against_those_that_reached_them(maximize: bool) -> None:
    rule = Halving(at=(1, 3), reduction=3, maximize=maximize)
    good, bad = (0.9, 0.1) if maximize else (0.1, 0.9)
    assert rule.goes_on(0, 1, good)
    assert not rule.goes_on(1, 1, bad)
    assert rule.goes_on(0, 2, bad), "epoch 2 is no rung"
    assert rule.goes_on(0, 3, bad), "nobody else has reached epoch 3"


def test_rungs_rebuilt_from_stored_values_judge_as_the_ones_that_were_lost() -> None:
    first, second = (Halving(at=(1, 3), reduction=2, maximize=True) for _ in range(2))
    for number, value in enumerate([0.3, 0.5, 0.4]):
        first.goes_on(number, 1, value)
        second.record(number, {1: value, 2: 0.9})
    assert first.values == second.values
