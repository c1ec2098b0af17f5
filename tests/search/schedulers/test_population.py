"""The worst of a population give way to copies of its best; numbers in, verdicts out."""

import pytest

from ferhpo.search.schedulers.population import Population

WAITING = dict.fromkeys(range(6), 2)


@pytest.fixture
def rule() -> Population:
    """Return a population of six that wait after their first turn of two epochs, each better than the one before."""
    made = Population(every=2, size=6, reduction=3, maximize=True)
    for number in WAITING:
        assert made.goes_on(number, 1, 0.0)
        assert not made.goes_on(number, 2, number / 10)
    return made


def test_new_trials_begin_until_the_population_is_whole(rule: Population) -> None:
    assert rule.promote({0: 2, 1: 2}, running=3, last=False) is None
    assert rule.promote({0: 2, 1: 2}, running=4, last=False) == 0
    assert rule.promote({0: 2, 1: 2}, running=0, last=True) == 0, "nothing new can begin"


def test_those_that_are_least_far_go_on_first_and_of_these_the_worst(rule: Population) -> None:
    rule.record(5, {2: 0.5, 4: 0.0})
    assert rule.promote({5: 4, 3: 2, 4: 2}, running=3, last=False) == 3


@pytest.mark.parametrize(("number", "found"), [(0, [4, 5]), (1, [4, 5]), (2, []), (3, []), (5, [])])
def test_the_worst_third_is_replaced_by_one_of_the_best_third(rule: Population, number: int, found: list[int]) -> None:
    assert rule.betters(number, WAITING) == found


def test_with_several_objectives_a_cheap_trial_gives_way_to_its_rivals_alone(rule: Population) -> None:
    for number in WAITING:
        rule.rivals.note(number, 2, (-10.0,) if number < 4 else (-20.0,))
    assert rule.betters(0, WAITING) == [3], "4 and 5 are better and dearer"


def test_only_what_still_waits_at_the_same_epoch_is_copied(rule: Population) -> None:
    assert rule.betters(0, {0: 2, 3: 2, 5: 4}) == []
    assert rule.betters(0, {0: 2, 4: 2, 5: 4}) == [4]


def test_an_interrupted_trial_and_a_copy_do_not_give_way(rule: Population) -> None:
    assert rule.betters(0, {**WAITING, 0: 1}) == []
    rule.record(6, {1: 0.0, 2: 0.4}, {"copied_at": 2})
    assert rule.betters(6, {**WAITING, 6: 2}) == []
    assert rule.betters(2, {**WAITING, 6: 2}) == [], "who came by copying is no further rival"


def test_a_copy_has_its_turn_after_those_that_do_worse(rule: Population) -> None:
    assert rule.promote({4: 2, 6: 2}, running=4, last=False) == 4


def test_of_equals_nobody_is_copied() -> None:
    rule = Population(every=1, size=6, reduction=3, maximize=False)
    for number in range(6):
        rule.record(number, {1: 0.5})
    assert not any(rule.betters(number, dict.fromkeys(range(6), 1)) for number in range(6))
