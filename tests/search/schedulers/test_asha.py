import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferhpo.search.schedulers.asha import Halving, PromotingHalving, among_best, rungs
from ferhpo.search.schedulers.rivals import Rivals

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


def promoting(reached: dict[int, float], later: dict[int, float] | None = None) -> PromotingHalving:
    rule = PromotingHalving(at=(1, 3), reduction=3, maximize=True)
    for number, value in reached.items():
        rule.record(number, {1: value} | ({3: later[number]} if later and number in later else {}))
    return rule


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30, unique=True))
def test_of_a_rung_the_best_third_is_promoted_best_first(everyone: list[float]) -> None:
    rule = promoting(dict(enumerate(everyone)))
    waiting = dict.fromkeys(range(len(everyone)), 1)
    promoted = []
    while (number := rule.promote(waiting, running=0, last=False)) is not None:
        promoted.append(everyone[number])
        del waiting[number]
    assert promoted == sorted(everyone, reverse=True)[: len(everyone) // 3]


def test_a_higher_rung_comes_first() -> None:
    rule = promoting(
        dict(enumerate([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.95, 0.0, 0.0])),
        {0: 0.9, 1: 0.91, 2: 0.92},
    )
    waiting = {0: 3, 1: 3, 2: 3, 9: 1}
    assert rule.promote(waiting, running=0, last=False) == 2
    del waiting[2]
    assert rule.promote(waiting, running=0, last=False) == 9, "one of three goes on from the higher rung"


def test_a_trial_among_the_best_goes_on_without_a_pause() -> None:
    rule = promoting({0: 0.1, 1: 0.2})
    assert not rule.goes_on(2, 1, 0.15)
    assert rule.goes_on(3, 1, 0.3)
    assert rule.goes_on(0, 2, 0.0), "epoch 2 is no rung"


def test_of_several_objectives_the_cheapest_is_promoted_and_nobody_on_the_front_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ferhpo.search.schedulers.asha.PAUSED", 2)
    rivals = Rivals()
    rule = PromotingHalving(at=(1,), reduction=3, maximize=True, rivals=rivals)
    for number, (value, params) in enumerate([(0.9, 90), (0.8, 80), (0.2, 10), (0.1, 50), (0.85, 95)]):
        rivals.note(number, 1, (-params,))
        rule.record(number, {1: value})
    waiting = dict.fromkeys(range(5), 1)
    assert rule.give_up(waiting) == [3, 4]
    promoted = {rule.promote({n: 1}, running=0, last=False) for n in range(5)}
    assert 2 in promoted, "it has no rival but itself"
    assert 3 not in promoted


def test_when_nothing_new_can_start_the_best_of_a_rung_goes_on_however_few_there_are() -> None:
    rule = promoting({0: 0.1, 1: 0.2})
    waiting = {0: 1, 1: 1}
    assert rule.promote(waiting, running=0, last=False) is None
    assert rule.promote(waiting, running=0, last=True) == 1
    assert rule.promote({0: 1}, running=0, last=True) is None


def test_when_the_leader_of_a_rung_fails_the_next_best_goes_on() -> None:
    rule = promoting({0: 0.1, 1: 0.2, 2: 0.9, 3: 0.15})
    assert rule.promote({0: 1, 1: 1, 2: 1, 3: 1}, running=0, last=True) == 2
    rule.forget(2)
    assert rule.promote({0: 1, 1: 1, 3: 1}, running=0, last=True) == 1


def test_no_more_than_so_many_wait_and_the_worst_of_the_lowest_rung_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferhpo.search.schedulers.asha.PAUSED", 2)
    rule = promoting({0: 0.5, 1: 0.1, 2: 0.3, 3: 0.9}, {3: 0.0})
    assert rule.give_up({0: 1, 1: 1, 2: 1, 3: 3}) == [1, 2]
    assert rule.give_up({0: 1, 3: 3}) == []
    assert rule.give_up({0: 1, 1: 2, 2: 2, 3: 3}) == [], "interrupted trials are not paused ones"
