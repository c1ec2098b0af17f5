import shutil
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import fakes
import pytest
from conftest import open_writer, run_session

from ferhpo import _layout
from ferhpo.search import costs, launch
from ferhpo.search.budget import Limits
from ferhpo.search.events import EpochEnded, Event, TrialEnded
from ferhpo.search.machine import cluster
from ferhpo.search.machine.workers import Workers
from ferhpo.search.recovery import UNJUDGED, settle
from ferhpo.search.runner import left_waiting, settled_study
from ferhpo.search.session import Session
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.space.tries import Try
from ferhpo.study.source import data_record
from ferhpo.study.study import Study


def run(spec: StudySpec, root: Path, data: fakes.FakeData, *, trials: int, epochs: int | None = None) -> list[str]:
    """Run a search; with ``epochs`` it dies after so many, leaving everything as it is."""
    with open_writer(spec, root, data) as writer:
        writer.keep_validation(data.labels, data.groups)
        notes = settle(writer)
        run_session(Session(writer, Limits(trials=trials), emit=lambda _: None), data, epochs)
        return notes


def run_another(spec: StudySpec, root: Path, data: fakes.FakeData) -> None:
    """Run a search and delete its database: the files that it leaves are of another study than the next one."""
    run(spec, root, data, trials=1)
    for file in _layout.study_folder(root, spec.name).glob("study.db*"):
        file.unlink()


@pytest.mark.parametrize("epochs", range(12))
def test_a_search_killed_after_any_epoch_ends_with_the_same_trials_and_the_exact_total(
    epochs: int, root: Path, data: fakes.FakeData
) -> None:
    spec = fakes.spec(epochs=3, scheduler="none")
    run(spec, root, data, trials=4, epochs=epochs)
    run(spec, root, data, trials=4)
    study = Study.open(root, spec.name)
    trials = study.trials()
    assert [t.state for t in trials] == ["COMPLETE"] * 4
    assert all(list(t.values) == [1, 2, 3] for t in trials)
    assert all([row["epoch"] for row in t.attrs["history"]] == [1, 2, 3] for t in trials)


def test_readers_show_a_trial_of_a_dead_search_as_interrupted(root: Path, data: fakes.FakeData) -> None:
    spec = fakes.spec()
    run(spec, root, data, trials=4, epochs=1)
    study = Study.open(root, spec.name)
    assert study.trials()[0].state == "INTERRUPTED"
    assert study.states()["RUNNING"] == 1


def test_readers_show_a_trial_of_a_live_search_as_running(root: Path, data: fakes.FakeData) -> None:
    with open_writer(fakes.spec(), root, data) as writer:
        Session(writer, Limits(trials=4), emit=lambda _: None).next_trial()
        assert Study.open(root, "toy").trials()[0].state == "RUNNING"


def test_an_epoch_that_was_saved_but_not_stored_is_stored_now(root: Path, data: fakes.FakeData) -> None:
    spec = fakes.spec(epochs=3, scheduler="none")
    with open_writer(spec, root, data) as writer:
        assignment = Session(writer, Limits(trials=1), emit=lambda _: None).next_trial()
        assert assignment is not None
        fakes.worker(assignment, fakes.job(writer.folder, data))()  # its files are there, the database knows nothing
    with open_writer(spec, root, data) as writer:
        assert settle(writer) == ["trial 0 was cut off and goes on after epoch 1"]
        assert list(writer.values(0)) == [1]


def test_an_epoch_that_a_worker_saved_after_its_trial_was_handed_back_is_not_lost(
    root: Path, data: fakes.FakeData
) -> None:
    spec = fakes.spec(epochs=4, scheduler="none")
    with open_writer(spec, root, data) as writer:
        session = Session(writer, Limits(trials=1), emit=lambda _: None)
        assignment = session.next_trial()
        assert assignment is not None
        worker = fakes.worker(assignment, fakes.job(writer.folder, data))
        session.epoch(0, worker())
        session.hand_back(0)  # a second Ctrl-C
        worker()
    assert run(spec, root, data, trials=1) == ["trial 0 was cut off and goes on after epoch 2"]
    assert [(t.state, list(t.values)) for t in Study.open(root, spec.name).trials()] == [("COMPLETE", [1, 2, 3, 4])]


def test_an_epoch_that_no_scheduler_saw_is_judged_before_its_trial_goes_on(root: Path, data: fakes.FakeData) -> None:
    spec = fakes.spec(epochs=3, scheduler="asha")
    with open_writer(spec, root, data) as writer:
        writer.keep_validation(data.labels, data.groups)
        run_session(Session(writer, Limits(trials=3), emit=lambda _: None), data)
        session = Session(writer, Limits(trials=4), emit=lambda _: None)
        session._rule.record(99, {1: 2.0})
        writer._study.enqueue_trial({"lr": 0.001, "dropout": 0.8})
        assignment = session.next_trial()
        assert assignment is not None
        fakes.worker(assignment, fakes.job(writer.folder, data))()
    run(spec, root, data, trials=4)
    last = Study.open(root, spec.name).trials()[3]
    assert (last.state, list(last.values)) == ("PRUNED", [1])


@pytest.mark.parametrize("scheduler", ["none", "asha-promote"])
def test_memory_of_an_epoch_that_was_saved_but_not_stored_is_judged_too(
    root: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch, scheduler: str
) -> None:
    monkeypatch.setattr(costs, "of_net", lambda _config, _job: {})
    monkeypatch.setattr(costs, "of_training", lambda _job: {"memory_mib": 400.0})
    spec = fakes.spec(head='constraints = ["memory_mib <= 300"]\n', scheduler=scheduler)
    with open_writer(spec, root, data) as writer:
        assignment = Session(writer, Limits(trials=1), emit=lambda _: None).next_trial()
        assert assignment is not None
        fakes.worker(assignment, fakes.job(writer.folder, data, spec))()  # and then the search was killed
    run(spec, root, data, trials=1)
    trial = Study.open(root, spec.name).trials()[0]
    assert (trial.state, list(trial.values), trial.attrs["costs"]) == ("PRUNED", [1], {"memory_mib": 400.0})


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_search_cut_off_between_an_epoch_and_its_verdict_leaves_it_to_be_judged(
    root: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """By a second Ctrl-C, or a log that its full disk does not take."""

    def cut_off(event: Event) -> None:
        if isinstance(event, EpochEnded):
            raise error

    spec = fakes.spec(epochs=9)
    monkeypatch.setattr(cluster, "started", lambda *_, **__: nullcontext([{"CPU": 1.0}]))
    monkeypatch.setattr(launch, "_tune", lambda session, *_, **__: run_session(session, data))
    run(spec, root, data, trials=3)
    with open_writer(spec, root, data) as writer, suppress(OSError):
        writer._study.enqueue_trial({"lr": 0.001, "dropout": 0.8})
        session = Session(writer, Limits(trials=4), emit=cut_off)
        launch.run(session, data, Workers(), fakes.trainer)  # pyright: ignore[reportArgumentType]
    run(spec, root, data, trials=4)
    last = Study.open(root, spec.name).trials()[3]
    assert (last.state, list(last.values)) == ("PRUNED", [1])


@pytest.mark.parametrize("kills", [0, 1])
def test_a_trial_killed_while_it_was_being_pruned_is_judged_again(
    root: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    spec = fakes.spec(epochs=9)
    with open_writer(spec, root, data) as writer:
        session = Session(writer, Limits(trials=9), emit=lambda _: None)
        run_session(session, data, 12)
        assignment = session.next_trial()
        assert assignment is not None
        record = fakes.worker(assignment, fakes.job(writer.folder, data))()
        writer.report(assignment.number, 1, record["value"], record["history"])  # and killed right here
    for _ in range(kills):
        with open_writer(spec, root, data) as writer, monkeypatch.context() as patch:
            patch.setattr(writer, "mark", killed)
            with pytest.raises(KeyboardInterrupt):
                settle(writer)
    with open_writer(spec, root, data) as writer:
        settle(writer)
        assert writer.marks(assignment.number)[UNJUDGED] == 1


def test_files_that_another_study_left_under_a_number_are_not_taken_for_its_trials(
    root: Path, data: fakes.FakeData
) -> None:
    spec = fakes.spec(epochs=2, scheduler="none")
    run_another(spec, root, data)
    with open_writer(spec, root, data) as writer:
        Session(writer, Limits(trials=1), emit=lambda _: None).next_trial()
    with open_writer(spec, root, data) as writer:
        assert settle(writer) == []
        assert writer.reader.states()["COMPLETE"] == 0


def test_nor_are_they_if_the_search_is_killed_while_it_begins_a_trial(
    root: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = fakes.spec(epochs=2, scheduler="none")
    run_another(spec, root, data)
    with open_writer(spec, root, data) as writer, monkeypatch.context() as patched:
        ask = writer.ask

        def killed(*args: Any) -> None:
            ask(*args)
            raise KeyboardInterrupt

        patched.setattr(writer, "ask", killed)
        with pytest.raises(KeyboardInterrupt):
            Session(writer, Limits(trials=1), emit=lambda _: None).next_trial()
    with open_writer(spec, root, data) as writer:
        assert settle(writer) == []
        assert writer.reader.states()["COMPLETE"] == 0


def test_a_trial_that_was_stored_as_ended_right_before_the_kill_keeps_no_state_and_no_other_epoch(
    root: Path, data: fakes.FakeData
) -> None:
    spec = fakes.spec(epochs=2, scheduler="none")
    with open_writer(spec, root, data) as writer:
        writer.keep_validation(data.labels, data.groups)
        run_session(Session(writer, Limits(trials=2), emit=lambda _: None), data)
        folder = writer.reader.candidates()[0].checkpoint
        assert folder is not None
        (folder / _layout.STATE).write_text("{}")
        for left in ("epoch-0001", ".epoch-0002.3f"):  # by a worker that was killed before it deleted them
            shutil.copytree(folder, folder.with_name(left))
    with open_writer(spec, root, data) as writer:
        settle(writer)
    assert not (folder / _layout.STATE).exists()
    assert list(folder.parent.iterdir()) == [folder]


def test_a_trial_that_finished_just_before_the_kill_is_kept_as_complete(root: Path, data: fakes.FakeData) -> None:
    spec = fakes.spec(epochs=1)
    with open_writer(spec, root, data) as writer:
        assignment = Session(writer, Limits(trials=1), emit=lambda _: None).next_trial()
        assert assignment is not None
        fakes.worker(assignment, fakes.job(writer.folder, data))()
    with open_writer(spec, root, data) as writer:
        assert settle(writer) == ["trial 0 had finished when the search was cut off: its result is kept"]
        assert writer.reader.trials()[0].state == "COMPLETE"
        assert writer.reader.trials()[0].value == pytest.approx(0.5)


def test_a_trial_whose_state_is_gone_fails_without_counting_and_is_queued_once(
    root: Path, data: fakes.FakeData
) -> None:
    spec = fakes.spec(epochs=3, scheduler="none")
    run(spec, root, data, trials=3, epochs=2)
    shutil.rmtree(_layout.trial_folder(root / spec.name, 0))
    notes = run(spec, root, data, trials=3)
    assert "queued once more" in notes[0]
    trials = Study.open(root, spec.name).trials()
    assert trials[0].state == "FAIL"
    assert trials[0].attrs["interrupted"] is True
    assert [t.state for t in trials[1:]] == ["COMPLETE"] * 3
    assert [t.params for t in trials].count(trials[0].params) == 2
    assert sum(t.counts for t in trials) == 3


def test_a_trial_whose_state_is_gone_is_not_queued_again_with_what_the_study_file_rules_out_since(
    root: Path, data: fakes.FakeData
) -> None:
    spec = fakes.spec(scheduler="none")
    run(spec, root, data, trials=2, epochs=1)
    shutil.rmtree(_layout.trial_folder(root / spec.name, 0))
    lower = spec.text.replace("high = 1.0", "high = 0.05").replace("default = 0.1", "default = 0.02")
    notes = run(parse_spec(lower, name="toy"), root, data, trials=2)
    assert notes == ["trial 0 was interrupted and its state is gone: the study file rules its parameters out"]
    trials = Study.open(root, spec.name).trials()
    assert [t.state for t in trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert trials[0].attrs["interrupted"] is True
    assert trials[1].params == {"lr": 0.02, "dropout": 0.2}, "the defaults of now come first"


def test_a_damaged_state_is_found_when_the_trial_goes_on_and_it_is_queued_once_more(
    root: Path, data: fakes.FakeData
) -> None:
    spec = fakes.spec(epochs=3, scheduler="none")
    run(spec, root, data, trials=2, epochs=2)
    folder = _layout.last_epoch(_layout.trial_folder(root / spec.name, 0))
    assert folder is not None
    (folder / _layout.STATE).write_text("{")
    run(spec, root, data, trials=2)
    trials = Study.open(root, spec.name).trials()
    assert [t.state for t in trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert sum(t.counts for t in trials) == 2


def test_a_trial_whose_worker_and_files_are_gone_is_queued_again(
    root: Path, data: fakes.FakeData, events: list[Event]
) -> None:
    with open_writer(fakes.spec(scheduler="none"), root, data) as writer:
        found = Session(writer, Limits(trials=2), emit=events.append)
        assignment = found.next_trial()
        assert assignment is not None
        found.epoch(0, fakes.worker(assignment, fakes.job(writer.folder, data))())
        shutil.rmtree(_layout.trial_folder(writer.folder, 0))
        found.lost(0, "its worker process died")
        assert [e.state for e in events if isinstance(e, TrialEnded)] == ["QUEUED AGAIN"]
        assert writer.count() == 0
        run_session(found, data)
        assert writer.count() == 2


def test_settling_twice_changes_nothing_more(root: Path, data: fakes.FakeData) -> None:
    spec = fakes.spec(epochs=3, scheduler="none")
    run(spec, root, data, trials=3, epochs=2)
    for _ in range(2):
        with open_writer(spec, root, data) as writer:
            settle(writer)
        states = Study.open(root, spec.name).states()
        assert (states["WAITING"], states["RUNNING"]) == (1, 0)


def test_a_command_that_writes_settles_a_dead_search_but_leaves_a_live_one_alone(
    root: Path, data: fakes.FakeData
) -> None:
    spec, record = fakes.spec(epochs=3, scheduler="none"), data_record(data)  # pyright: ignore[reportArgumentType]
    run(spec, root, data, trials=3, epochs=2)
    with open_writer(spec, root, data):
        assert settled_study(spec, record, root).states()["RUNNING"] == 1
    assert settled_study(spec, record, root).states()["RUNNING"] == 0


def test_a_command_that_writes_begins_a_study_that_is_not_there(root: Path, data: fakes.FakeData) -> None:
    study = settled_study(fakes.spec(), data_record(data), root)  # pyright: ignore[reportArgumentType]
    assert study.states()["WAITING"] == 1


def test_a_trial_that_was_cut_off_goes_on_before_what_was_queued_since(root: Path, data: fakes.FakeData) -> None:
    spec = fakes.spec(epochs=3, scheduler="none")
    run(spec, root, data, trials=2, epochs=5)  # dies in the second of two trials
    tries = [Try(given={"lr": 0.05}, params=spec.space.point({"lr": 0.05}))]
    with open_writer(spec, root, data, tries=tries) as writer:
        settle(writer)
        assert left_waiting(writer).startswith("1 unfinished and 1 queued trials wait: the study has its total of 1;")
        run_session(Session(writer, Limits(trials=2), emit=lambda _: None), data)
        assert [t.state for t in writer.reader.trials()] == ["COMPLETE", "COMPLETE", "WAITING"]
        assert left_waiting(writer) == "1 queued trials wait: the study has its total of 2; raise --trials"
        run_session(Session(writer, Limits(trials=3), emit=lambda _: None), data)
        assert left_waiting(writer) == ""
