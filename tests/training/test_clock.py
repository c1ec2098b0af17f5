import pytest

from ferhpo.training import clock as module
from ferhpo.training.clock import Clock


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
