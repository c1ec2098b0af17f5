from collections.abc import Callable
from pathlib import Path

import fakes
from conftest import open_writer, run_session, session

from ferhpo.search.budget import Limits
from ferhpo.search.events import EpochEnded, Event, TrialBegan, TrialEnded
from ferhpo.search.session import Session
from ferhpo.space.tries import Try
from ferhpo.study.study import Study
from ferhpo.study.writer import StudyWriter


def test_the_total_is_reached_and_every_trial_has_the_state_it_earned(
    writer: StudyWriter, data: fakes.FakeData
) -> None:
    run_session(session(writer, trials=12), data)
    states = writer.reader.states()
    assert states["COMPLETE"] + states["PRUNED"] + states["FAIL"] == 12
    assert states["COMPLETE"] >= 1
    assert states["PRUNED"] >= 1
    assert states["RUNNING"] == states["WAITING"] == 0


def test_the_first_trial_is_the_default_one(writer: StudyWriter, data: fakes.FakeData) -> None:
    run_session(session(writer, trials=2), data)
    assert writer.reader.trials()[0].params == {"lr": 0.1, "dropout": 0.2}


def test_seeds_of_trials_differ_and_are_stored(writer: StudyWriter, data: fakes.FakeData) -> None:
    run_session(session(writer, trials=4), data)
    seeds = {t.attrs["seed"] for t in writer.reader.candidates()}
    assert len(seeds) == 4


def test_events_tell_the_story_of_each_trial_in_order(
    writer: StudyWriter, data: fakes.FakeData, events: list[Event]
) -> None:
    run_session(session(writer, trials=3, emit=events.append), data)
    of_first = [e for e in events if getattr(e, "number", None) == 0]
    assert isinstance(of_first[0], TrialBegan)
    assert isinstance(of_first[-1], TrialEnded)
    assert [e.epoch for e in of_first if isinstance(e, EpochEnded)] == [1, 2, 3]


def test_what_was_queued_begins_although_as_many_trials_wait_as_there_is_room_for(
    root: Path, data: fakes.FakeData
) -> None:
    spec = fakes.spec(epochs=4, scheduler="asha-promote")
    with open_writer(spec, root, data) as writer:
        run_session(session(writer, trials=4), data, epochs=2)
        assert len(writer.waiting()) == 2
    tries = [Try(given={"lr": 0.05}, params=spec.space.point({"lr": 0.05}))]
    with open_writer(spec, root, data, tries=tries) as writer:
        assignment = session(writer, trials=2).next_trial()
        assert assignment is not None
        assert (assignment.epoch, assignment.config.lr) == (0, 0.05)


def test_after_the_time_limit_no_trial_starts_and_running_ones_wait_with_their_values(
    writer: StudyWriter, data: fakes.FakeData
) -> None:
    now = [0.0]
    found = Session(writer, Limits(trials=9, seconds=10), emit=lambda _: None, clock=lambda: now[0])
    assignment = found.next_trial()
    assert assignment is not None
    work = fakes.worker(assignment, fakes.job(writer.folder, data))
    assert found.epoch(0, work())
    now[0] = 11.0
    assert not found.epoch(0, work())
    assert found.next_trial() is None
    assert found.over
    assert writer.reader.states()["WAITING"] == 1
    assert list(writer.values(0)) == [1, 2]
    assert writer.count() == 0


def test_a_trial_handed_back_goes_on_under_its_own_number_after_its_last_epoch(
    root: Path, data: fakes.FakeData, events: list[Event]
) -> None:
    spec = fakes.spec(epochs=4, scheduler="none")
    with open_writer(spec, root, data) as writer:
        found = session(writer, trials=3)
        assignment = found.next_trial()
        assert assignment is not None
        found.epoch(0, fakes.worker(assignment, fakes.job(writer.folder, data))())
        found.hand_back(0)
    with open_writer(spec, root, data) as writer:
        run_session(session(writer, trials=3, emit=events.append), data)
        trials = writer.reader.trials()
        assert [t.state for t in trials] == ["COMPLETE"] * 3
        assert list(trials[0].values) == [1, 2, 3, 4]
    began = next(e for e in events if isinstance(e, TrialBegan))
    assert (began.number, began.epoch) == (0, 1)


def test_with_the_total_reached_nothing_starts(study: Callable[..., Study], root: Path, data: fakes.FakeData) -> None:
    study(4)
    with open_writer(fakes.spec(), root, data) as writer:
        assert session(writer, trials=4).over
        assert session(writer, trials=3).next_trial() is None


def test_a_larger_total_goes_on_and_draws_new_points(
    study: Callable[..., Study], root: Path, data: fakes.FakeData
) -> None:
    study(4)
    with open_writer(fakes.spec(), root, data) as writer:
        run_session(session(writer, trials=8), data)
        trials = writer.reader.trials()
        assert len(trials) == 8
        assert len({t.params["lr"] for t in trials}) == 8
