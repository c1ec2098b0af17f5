from time import sleep

import pytest

from ferhpo.data.cache import Prepared
from ferhpo.errors import TrainingError
from ferhpo.metrics import metric
from ferhpo.space.config import TrialConfig
from ferhpo.training import clock as module
from ferhpo.training import loop
from ferhpo.training.clock import Clock, Epochs
from ferhpo.training.loop import train


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    at = [100.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: at[0])
    return at


def test_progress_reaches_one_before_the_last_validation(now: list[float]) -> None:
    clock = Clock(10, 0, 2)
    assert clock.progress() == 0
    now[0] += 10 - 2 * module.MARGIN
    assert clock.progress() == 1


def test_progress_never_goes_back_when_validation_proves_slow(now: list[float]) -> None:
    clock = Clock(10, 0, 1)
    now[0] += 4
    before = clock.progress()
    clock.saw_validation(0.1)
    assert clock.progress() == before
    clock.saw_validation(3)
    assert clock.progress() > before


def test_the_end_is_near_when_few_steps_are_left_before_the_last_validation(now: list[float]) -> None:
    clock = Clock(100, 0, 0)
    clock.saw_step(1)
    assert not clock.near_end()
    now[0] += 100.5 - module.NEAR
    assert clock.near_end()
    assert clock.step_fits()


def test_what_goes_by_before_the_first_step_is_spent_but_no_progress(now: list[float]) -> None:
    clock = Clock(10, 0, 2)
    now[0] += 4
    clock.begin()
    assert (clock.progress(), clock.spent(), clock.idle) == (0, 4, 4)
    now[0] += 6 - 2 * module.MARGIN
    assert clock.progress() == 1
    assert not clock.epoch_fits()


def test_what_went_by_before_the_first_step_of_an_earlier_part_is_no_progress_either(now: list[float]) -> None:
    clock = Clock(12, 6, 0, idle=4)
    now[0] += 2
    clock.begin()
    assert clock.progress() == 2 / 6


def test_a_step_fits_only_if_a_validation_does_too(now: list[float]) -> None:
    clock = Clock(10, 0, 2)
    clock.saw_step(1)
    now[0] += 6.6
    assert clock.step_fits()
    now[0] += 0.2
    assert not clock.step_fits()


def test_an_epoch_ends_only_if_more_training_can_follow(now: list[float]) -> None:
    clock = Clock(10, 0, 2)
    clock.saw_step(0.1)
    now[0] += 4.3
    assert clock.epoch_fits()
    now[0] += 0.2
    assert not clock.epoch_fits()


def test_time_spent_before_a_resume_counts(now: list[float]) -> None:
    assert Clock(10, 4, 1).spent() == 4


def test_steps_are_a_budget_too_whatever_time_they_take(now: list[float]) -> None:
    done = [3]
    epochs = Epochs(8, lambda: done[0], spent=2.0)
    epochs.begin()
    now[0] += 1000
    epochs.saw_step(500)
    epochs.saw_validation(500)
    assert (epochs.spent(), epochs.left(0.5), epochs.progress()) == (1002, 5, 3.5 / 8)
    assert epochs.step_fits()
    assert epochs.epoch_fits()
    assert not epochs.near_end()
    assert not epochs.over
    done[0] = 8
    assert not epochs.step_fits()
    assert epochs.over


def test_the_steps_that_are_left_of_a_time_budget_follow_from_what_one_takes(now: list[float]) -> None:
    clock = Clock(10, 4, 1)
    assert clock.left(0.5) == 12
    now[0] += 20
    assert not clock.over  # one step is made, and validated


# --- in a training


def test_a_time_budget_is_kept_and_the_learning_rate_ends_inside_it(data: Prepared, tiny: TrialConfig) -> None:
    config = tiny.with_params({"epochs": 1})
    results = list(train(config, data, metric=metric("accuracy"), seconds=3.0))
    assert 0.8 < sum(r.seconds for r in results) <= 3.0 * 1.2  # a busy machine may stretch one step
    assert len(results) > config.epochs
    assert results[-1].lr < 0.3 * tiny.lr
    assert [r.done for r in results] == [False] * (len(results) - 1) + [True]


def test_time_that_goes_by_before_the_first_step_leaves_the_schedule_its_warm_up(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    lrs: list[float] = []
    run_step = loop.Step.__call__
    monkeypatch.setattr(loop.compiling, "choose", lambda *_: sleep(1.0))
    monkeypatch.setattr(
        loop.Step, "__call__", lambda self, *a, lr, **k: lrs.append(lr) or run_step(self, *a, lr=lr, **k)
    )
    results = list(train(tiny, data, metric=metric("accuracy"), seconds=2.5))
    assert lrs[0] < 0.2 * tiny.lr
    assert max(lrs) > 0.8 * tiny.lr
    assert lrs[-1] < 0.3 * tiny.lr
    assert sum(r.seconds for r in results) <= 1.5 * 1.3  # a busy machine may stretch one step


def test_a_time_budget_below_a_validation_is_refused(data: Prepared, tiny: TrialConfig) -> None:
    with pytest.raises(TrainingError, match="a time budget must hold more than a validation"):
        next(train(tiny, data, metric=metric("accuracy"), seconds=1e-4))


def test_a_time_budget_that_is_refused_is_told_what_it_must_hold(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop.Validation, "seconds", lambda *_: 1.0)
    with pytest.raises(TrainingError, match=r"here 2\.0 s or more, got 1\.5 s; give more time"):
        next(train(tiny, data, metric=metric("accuracy"), seconds=1.5))
