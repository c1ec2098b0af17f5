from collections import Counter

from ferhpo.search.schedulers.asha import rungs
from ferhpo.search.schedulers.hyperband import Hyperband


def made() -> Hyperband:
    return Hyperband.of(rungs(1, 3, 9), 3, maximize=True)


def test_brackets_run_from_every_rung_to_none() -> None:
    assert [bracket.at for bracket in made().brackets] == [(1, 3), (3,), ()]


def test_brackets_get_trials_as_hyperband_gives_them() -> None:
    rule = made()
    for number in range(330):
        rule.begin(number)
    shares = [count / 330 for _, count in sorted(Counter(rule.bracket.values()).items())]
    weights = [9 / 3, 3 / 2, 1]  # reduction ** halvings / (halvings + 1)
    assert all(abs(share - weight / sum(weights)) < 0.01 for share, weight in zip(shares, weights, strict=True))


def test_a_trial_is_judged_against_its_own_bracket_alone() -> None:
    rule = made()
    for number, bracket in enumerate([0, 1, 0, 1]):
        rule.record(number, {}, {"bracket": bracket})
    assert rule.goes_on(0, 1, 0.9)
    assert rule.goes_on(1, 1, 0.1), "the second bracket judges at epoch 3 first"
    assert rule.goes_on(1, 3, 0.2)
    assert rule.goes_on(0, 3, 0.1), "the better trial at epoch 3 is in another bracket"
    assert not rule.goes_on(3, 3, 0.1)


def test_a_trial_keeps_its_bracket() -> None:
    rule = made()
    first = rule.begin(7)
    rule.begin(8)
    assert rule.begin(7) == first


def test_a_trial_of_another_scheduler_is_put_into_a_bracket_when_it_goes_on() -> None:
    rule = made()
    rule.record(0, {1: 0.9}, {})
    assert 0 not in rule.bracket
    assert rule.goes_on(0, 1, 0.1)
    assert 0 in rule.bracket


def test_a_stored_bracket_that_is_no_more_is_the_last_one() -> None:
    rule = made()
    rule.record(0, {1: 0.1, 3: 0.1}, {"bracket": 6})
    assert rule.bracket == {0: 2}
