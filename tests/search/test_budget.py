"""Every end of a search but its number of trials: it ends in time, says why, and loses nothing."""

from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pytest
from conftest import open_writer, run_session

from ferhpo.errors import UsageError
from ferhpo.metrics import metric
from ferhpo.search.budget import AFTER, Budget, Limits, limits_of
from ferhpo.search.recovery import settle
from ferhpo.search.session import Session
from ferhpo.study.study import Study


def search(root: Path, data: fakes.FakeData, **limits: Any) -> tuple[Session, Study]:
    with open_writer(fakes.spec(scheduler="none"), root, data) as writer:
        writer.keep_validation(data.labels, data.groups)
        settle(writer)
        session = Session(writer, Limits(**limits), emit=lambda _: None)
        run_session(session, data)
    return session, Study.open(root, "toy")


def made(**limits: Any) -> Budget:
    now = iter(range(1000))
    return Budget.of([], Limits(trials=100, **limits), metric("accuracy"), lambda: next(now))


def none() -> int:
    return 0


def test_without_limits_a_budget_never_ends() -> None:
    budget = made()
    budget.epochs, budget.device_seconds, budget.values = 10**9, 1e12, [0.5] * 99
    assert budget.reason(none) is None


def test_wall_time_is_counted_from_the_begin_of_this_run() -> None:
    budget = made(seconds=3)
    assert [budget.reason(none) is None for _ in range(4)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"epochs": 7}, "the study has had 7 of 7 epochs"),
        ({"device_seconds": 3.5}, "the study has been trained for 3.5 of 3.5 seconds"),  # half a second an epoch
    ],
)
def test_epochs_and_seconds_of_all_runs_together_end_a_search(
    root: Path, data: fakes.FakeData, limits: dict[str, float], reason: str
) -> None:
    session, study = search(root, data, trials=50, **limits)
    assert (session.stopping or "").startswith(reason)
    assert sum(len(t.values) for t in study.trials()) == 7
    assert study.states()["WAITING"] == 1
    session, study = search(root, data, trials=50, **limits)
    assert (session.stopping or "").startswith(reason), "what earlier runs spent is spent"
    assert sum(len(t.values) for t in study.trials()) == 7
    _, study = search(root, data, trials=50, **{name: 2 * value for name, value in limits.items()})
    assert sum(len(t.values) for t in study.trials()) == 14


def test_no_epoch_begins_that_would_be_one_too_many_beside_those_under_way(root: Path, data: fakes.FakeData) -> None:
    with open_writer(fakes.spec(scheduler="none"), root, data) as writer:
        session = Session(writer, Limits(trials=50, epochs=7), emit=lambda _: None)
        job, work = fakes.job(writer.folder, data, writer.spec), {}
        while not session.over:
            while len(work) < 3 and (given := session.next_trial()) is not None:
                work[given.number] = fakes.worker(given, job)
            epochs = {number: worker() for number, worker in work.items()}  # of all three at a time
            work = {n: work[n] for n, record in epochs.items() if session.epoch(n, record)}
        assert sum(len(t.values) for t in writer.reader.trials()) == 7
        assert session.spent


def test_a_flat_search_ends_with_what_it_expected() -> None:
    budget = made(flat=0.01)
    rng = np.random.default_rng(0)
    budget.values = list(rng.normal(0.5, 0.1, 60))
    assert budget.reason(lambda: 40) is None
    budget.values = [0.9, *rng.normal(0.5, 0.01, 60)]
    assert "39 more trials are expected to improve accuracy by" in (budget.reason(lambda: 39) or "")


def test_a_search_that_has_its_total_is_not_called_flat(root: Path, data: fakes.FakeData) -> None:
    session, _ = search(root, data, trials=25, flat=1e-9)
    assert session.stopping is None or "0 more trials" not in session.stopping
    budget = made(flat=0.1)
    budget.values = [1.0] * 99
    assert budget.reason(none) is None
    assert budget.reason(lambda: 1) is not None
    budget.values = [0.5] * 99
    assert budget.reason(lambda: 1) is None, "all may have collapsed"


def test_what_the_whole_study_has_used_up_is_told_apart_from_time() -> None:
    budget = made(epochs=7, seconds=1)
    assert [budget.spent, budget.reason(none)] == [None, "time is up: " + AFTER]
    budget.epochs = 7
    assert budget.spent == "the study has had 7 of 7 epochs"
    budget = made(device_seconds=36000)
    budget.epoch(36010.24)
    assert budget.spent == "the study has been trained for 36010.2 of 36000.0 seconds"


def test_failures_between_which_a_trial_worked_are_not_in_a_row(root: Path, data: fakes.FakeData) -> None:
    with open_writer(fakes.spec(scheduler="asha-promote", epochs=9), root, data) as writer:
        made = Session(writer, Limits(trials=9, max_failures=2), emit=lambda _: None)
        for _ in range(3):
            failing, working = made.next_trial(), made.next_trial()
            assert failing is not None
            assert working is not None
            made.epoch(failing.number, {"error": "no luck"})
            made.epoch(working.number, fakes.worker(working, fakes.job(writer.folder, data))())
        assert writer.reader.states()["COMPLETE"] == writer.reader.states()["PRUNED"] == 0, "what worked is paused"
        assert not made.gave_up


def test_trials_that_ended_without_a_value_are_none_of_those_left(root: Path, data: fakes.FakeData) -> None:
    with open_writer(fakes.spec(scheduler="none"), root, data) as writer:
        session = Session(writer, Limits(trials=30, flat=0.01), emit=lambda _: None)
        for _ in range(5):
            writer.finish(writer.ask(lambda config, _: config)[0], "FAIL", None, {"error": "no memory"})
        session._budget.values = [0.9, *np.random.default_rng(0).normal(0.5, 0.01, 20)]
        assert session.over
        assert "25 more trials are expected" in (session.stopping or "")
        assert session.flat
        assert not session.spent
        assert not Session(writer, Limits(trials=30, flat=0.01), emit=lambda _: None).flat, "too few values to tell"


def test_values_are_known_again_in_the_order_of_ending(root: Path, data: fakes.FakeData) -> None:
    session, study = search(root, data, trials=4)
    again = Budget.of(study.trials(), Limits(trials=4), metric("accuracy"), lambda: 0.0)
    assert again.values == session._budget.values == [t.value for t in study.trials() if t.value is not None]
    assert again.epochs == session._budget.epochs
    assert again.device_seconds == pytest.approx(session._budget.device_seconds)


def test_limits_are_the_study_files_where_nothing_is_given() -> None:
    spec = fakes.spec(trials=9)
    assert limits_of(spec) == Limits(trials=9, max_failures=3)
    given = limits_of(spec, trials=2, timeout="90s", epochs_total=5, device_seconds=1.5, stop_when_flat=0.1)
    assert given == Limits(trials=2, seconds=90.0, max_failures=3, epochs=5, device_seconds=1.5, flat=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "--trials must be at least 1, got 0"),
        ({"epochs_total": -1}, "--epochs-total"),
        ({"device_seconds": float("inf")}, "--device-seconds must be a number above 0"),
        ({"stop_when_flat": 0.0}, "--stop-when-flat"),
        ({"timeout": "soon"}, "a duration"),
    ],
)
def test_limits_that_are_no_numbers_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        limits_of(fakes.spec(), **options)
