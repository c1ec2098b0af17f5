"""What every scheduler must do, whichever it is; numbers in, verdicts out."""

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferhpo.search.scheduler import scheduler
from ferhpo.search.schedulers.rule import Scheduler
from ferhpo.space.sections import SCHEDULERS, SchedulerSpec

EPOCHS = 9
every = pytest.mark.parametrize("name", SCHEDULERS)
curves = st.lists(st.lists(st.floats(0, 1), min_size=EPOCHS, max_size=EPOCHS), min_size=1, max_size=14)


def made(name: str, *, maximize: bool = True) -> Scheduler:
    return scheduler(SchedulerSpec(name=name, grace=1, reduction=3), EPOCHS, maximize=maximize)


def told(rule: Scheduler, found: list[list[float]]) -> Iterator[tuple[int, int, bool]]:
    """Run the curves as trials, epoch by epoch in turns, until each is finished or does not go on."""
    running = dict.fromkeys(range(len(found)), 0)
    for number in running:
        rule.begin(number)
    while running:
        for number, behind in list(running.items()):
            epoch = running[number] = behind + 1
            goes_on = epoch < EPOCHS and rule.goes_on(number, epoch, found[number][epoch - 1])
            if epoch < EPOCHS:
                yield number, epoch, goes_on
            if not goes_on:
                del running[number]


def rebuilt(
    name: str, marks: Mapping[int, Mapping[str, object]], values: Mapping[int, Mapping[int, float]]
) -> Scheduler:
    rule = made(name)
    for number in values:
        rule.record(number, values[number], marks[number])
    return rule


@every
@given(curves)
def test_the_better_of_two_trials_that_do_alike_otherwise_is_never_held_alone(
    name: str, found: list[list[float]]
) -> None:
    """Verdicts follow the order of the values: none turns round when every value is mirrored with the direction."""
    straight = list(told(made(name), found))
    mirrored = list(told(made(name, maximize=False), [[-value for value in curve] for curve in found]))
    assert straight == mirrored


@every
@given(curves, st.integers(0, 1))
def test_after_a_restart_the_verdicts_are_the_same(name: str, found: list[list[float]], more: int) -> None:
    rule = made(name)
    marks = {number: rule.begin(number) for number in range(len(found))}
    values: dict[int, dict[int, float]] = {number: {} for number in marks}
    for number, curve in enumerate(found):
        for epoch in range(1, EPOCHS - more):
            values[number][epoch] = curve[epoch - 1]
            if not rule.goes_on(number, epoch, curve[epoch - 1]):
                break
    again, new = rebuilt(name, marks, values), len(found)
    assert rule.begin(new) == again.begin(new)
    waiting = {number: max(curve) for number, curve in values.items()}
    for last in (False, True):
        for running in (0, 20):
            chosen = rule.promote(waiting, running=running, last=last)
            assert chosen == again.promote(waiting, running=running, last=last)
            if chosen is not None:
                assert rule.betters(chosen, waiting) == again.betters(chosen, waiting)
    for epoch in range(1, EPOCHS):
        assert rule.goes_on(new, epoch, 0.5) == again.goes_on(new, epoch, 0.5)


@every
def test_nobody_is_stopped_before_the_grace_is_over(name: str) -> None:
    rule = scheduler(SchedulerSpec(name=name, grace=4, reduction=2), 40, maximize=True)
    for number in range(20):
        rule.begin(number)
        assert all(rule.goes_on(number, epoch, 1 / (number + 2)) for epoch in (1, 2, 3))


@every
def test_an_interrupted_trial_goes_on_before_anything_new(name: str) -> None:
    rule = scheduler(SchedulerSpec(name=name, grace=4), EPOCHS, maximize=True)
    for number in (0, 1):
        rule.begin(number)
        rule.record(number, {1: 0.5, 2: 0.5}, {})
    assert rule.promote({1: 2, 0: 2}, running=1, last=False) == 0
    assert not rule.paused(2), "nor does it wait for what was queued"
    assert rule.promote({}, running=0, last=True) is None


@every
def test_a_trial_that_leads_from_begin_to_end_is_never_over(name: str) -> None:
    rule = made(name)
    for number in range(12):
        rule.begin(number)
        for epoch in range(1, EPOCHS):
            if not rule.goes_on(number, epoch, number + epoch / 10):
                assert rule.pauses
                assert rule.paused(epoch)
                assert rule.promote({number: epoch}, running=0, last=True) == number
                break


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name != "none"])
def test_a_trial_that_trails_from_begin_to_end_is_not_trained_to_the_end(name: str) -> None:
    rule = made(name)
    stopped = 0
    for number in range(40):
        rule.begin(number)
        stopped += not all(rule.goes_on(number, epoch, epoch / 10 - number) for epoch in range(1, EPOCHS))
    assert stopped >= 20


@every
def test_a_state_is_kept_only_of_trials_that_may_go_on(name: str) -> None:
    rule = made(name)
    assert rule.give_up({}) == []
    assert rule.pauses == (name in {"asha-promote", "pbt"})


@every
@given(curves)
def test_a_trial_that_failed_is_as_if_it_had_never_reported(name: str, found: list[list[float]]) -> None:
    rule, other = made(name), made(name)
    for number, values in enumerate(found):
        marks = dict(rule.begin(number))
        other.begin(number)
        rule.record(number, dict(enumerate(values, 1)), marks)
        other.record(number, {} if number == 0 else dict(enumerate(values, 1)), marks)
    rule.forget(0)
    last = len(found)
    for asked in (rule, other):
        asked.begin(last)
    assert [rule.goes_on(last, epoch, 0.5) for epoch in range(1, EPOCHS)] == [
        other.goes_on(last, epoch, 0.5) for epoch in range(1, EPOCHS)
    ]
