from pathlib import Path
from typing import Any

import fakes
import optuna
import pytest
from conftest import open_writer, run_session, session

from ferhpo import _layout
from ferhpo.errors import SpecError
from ferhpo.search import costs
from ferhpo.search.budget import Limits
from ferhpo.search.events import Event, Note, TrialEnded
from ferhpo.search.recovery import settle
from ferhpo.search.scheduler import judged
from ferhpo.search.session import Session
from ferhpo.study.overview import overview
from ferhpo.study.study import Study
from ferhpo.study.writer import StudyWriter

TWO = 'metric = ["accuracy", "params"]\n'
LIMIT = 'constraints = ["params <= 500"]\n'


def test_value_checkpoint_and_history_of_a_trial_are_of_its_last_epoch(
    writer: StudyWriter, data: fakes.FakeData
) -> None:
    run_session(session(writer, trials=6), data)
    for trial in writer.reader.candidates():
        epoch = max(trial.values)
        assert trial.config is not None
        assert trial.checkpoint is not None
        assert trial.value == pytest.approx(fakes.score(trial.config, epoch))
        assert trial.checkpoint.name == f"epoch-{epoch:04d}"
        assert [row["epoch"] for row in trial.attrs["history"]] == list(range(1, epoch + 1))
        assert trial.attrs["seconds"] == pytest.approx(0.5 * epoch)
        assert not (trial.checkpoint / _layout.STATE).exists(), "an ended trial needs no state"


def test_a_failed_trial_keeps_its_reason_in_one_line_and_counts(root: Path, data: fakes.FakeData) -> None:
    with open_writer(fakes.spec(name="bad"), root, data) as writer:
        writer._study.enqueue_trial({"lr": 0.95, "dropout": 0.2})
        run_session(session(writer, trials=3), data)
        failed = [t for t in writer.reader.trials() if t.state == "FAIL"]
        assert [t.attrs["error"] for t in failed] == ["ValueError: lr is too high"]
        assert writer.count() == 3
        assert not _layout.trial_folder(writer.folder, failed[0].number).exists()


@pytest.mark.parametrize("epochs", [0, 1])
def test_too_many_failures_in_a_row_end_the_search(root: Path, data: fakes.FakeData, epochs: int) -> None:
    with open_writer(fakes.spec(scheduler="none"), root, data) as writer:
        found = session(writer, trials=50, max_failures=3)
        while (begun := found.next_trial()) is not None:
            work = fakes.worker(begun, fakes.job(writer.folder, data))
            assert all(found.epoch(begun.number, work()) for _ in range(epochs))
            found.epoch(begun.number, {"error": "a loss must be finite"})
        assert found.gave_up
        assert writer.reader.states()["FAIL"] == 3
        assert "3 trials in a row failed" in (found.stopping or "")


def test_a_trial_whose_worker_died_goes_on_once_and_then_fails(writer: StudyWriter) -> None:
    found = session(writer)
    for state in ("WAITING", "FAIL"):
        assignment = found.next_trial()
        assert assignment is not None
        assert assignment.number == 0
        for _ in range(2):  # the second time it is known
            found.lost(0, "its worker process died")
        assert [t.state for t in writer.reader.trials()] == [state]
    assert writer.reader.trials()[0].attrs["error"] == "its worker process died"


def test_an_epoch_that_a_dead_worker_had_saved_counts_and_a_later_death_is_a_new_one(
    root: Path, data: fakes.FakeData, events: list[Event]
) -> None:
    with open_writer(fakes.spec(epochs=4, scheduler="none"), root, data) as writer:
        found, job = session(writer, trials=1, emit=events.append), fakes.job(writer.folder, data)
        for epoch in (0, 1, 2):
            assignment = found.next_trial()
            assert assignment is not None
            assert (assignment.number, assignment.epoch) == (0, epoch)
            fakes.worker(assignment, job)()
            found.lost(0, "its worker process died")
        assert list(writer.values(0)) == [1, 2, 3]
        run_session(found, data)
        assert [t.state for t in writer.reader.trials()] == ["COMPLETE"]
    assert "trial 0 was cut off and goes on after epoch 2" in [e.text for e in events if isinstance(e, Note)]


def test_a_trial_whose_worker_died_after_its_last_epoch_ends_like_any_other(
    root: Path, data: fakes.FakeData, events: list[Event]
) -> None:
    with open_writer(fakes.spec(epochs=1), root, data) as writer:
        found = session(writer, trials=3, epochs=1, emit=events.append)
        assignment = found.next_trial()
        assert assignment is not None
        fakes.worker(assignment, fakes.job(writer.folder, data))()
        found.lost(0, "its worker process died")
        trial = writer.reader.trials()[0]
        assert trial.checkpoint is not None
        assert not (trial.checkpoint / _layout.STATE).exists()
    assert [(e.state, e.value) for e in events if isinstance(e, TrialEnded)] == [("COMPLETE", trial.value)]
    assert [e.text for e in events if isinstance(e, Note)][:1] == [
        "trial 0: its worker process died; it had saved epoch 1"
    ]
    assert found.next_trial() is None
    assert found.stopping is not None
    assert "the study has had 1 of 1 epochs" in found.stopping


def test_a_scheduler_that_pauses_knows_of_an_epoch_that_a_dead_worker_had_saved(
    root: Path, data: fakes.FakeData
) -> None:
    with open_writer(fakes.spec(epochs=4, scheduler="asha-promote"), root, data) as writer:
        found = session(writer, trials=1)
        assignment = found.next_trial()
        assert assignment is not None
        fakes.worker(assignment, fakes.job(writer.folder, data))()
        found.lost(0, "its worker process died")
        run_session(found, data)
        assert [(t.state, list(t.values)) for t in writer.reader.trials()] == [("COMPLETE", [1, 2, 3, 4])]


def test_a_node_that_dies_with_many_trials_does_not_end_the_search(writer: StudyWriter, data: fakes.FakeData) -> None:
    found = session(writer, trials=6, max_failures=2)
    begun = [found.next_trial() for _ in range(4)]
    for assignment in begun:
        assert assignment is not None
        found.lost(assignment.number, "its worker process died")
    run_session(found, data)
    assert not found.gave_up
    assert writer.count() == 6


def test_only_the_best_trials_keep_their_files(
    writer: StudyWriter, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ferhpo.study.artifacts.keep_best.__kwdefaults__", {"keep": 3, "also": ()})
    run_session(session(writer, trials=8), data)
    kept = writer.reader.candidates()
    assert len(kept) == 3
    ranked = sorted((t.value for t in writer.reader.trials() if t.value is not None), reverse=True)
    assert [t.value for t in kept] == ranked[:3]
    assert len(list((writer.folder / "trials").iterdir())) == 3


# --- several objectives and constraints


@pytest.fixture(autouse=True)
def priced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "of_net", fakes.net_costs)


def searched(
    root: Path,
    data: fakes.FakeData,
    events: list[Event] | None = None,
    *,
    trials: int = 16,
    spent: int | None = None,
    **kind: Any,
) -> Study:
    """Search; stop, as if killed, after ``spent`` records."""
    spec, emit = fakes.spec(**kind), (events if events is not None else []).append
    with open_writer(spec, root, data) as writer:
        writer.keep_validation(data.labels, data.groups)
        run_session(Session(writer, Limits(trials=trials), emit=emit), data, spent)
    return Study.open(root, spec.name)


def test_a_study_of_two_objectives_is_an_optuna_study_of_two(root: Path, data: fakes.FakeData) -> None:
    study = searched(root, data, head=TWO)
    assert study.directions == ["maximize", "minimize"]
    assert (study.objectives, study.metric, study.maximize) == (("accuracy", "params"), "accuracy", True)
    assert study.optuna_study.metric_names == ["accuracy", "params"]
    assert {t.number for t in study.optuna_study.best_trials} == {t.number for t in study.front()}
    for trial in (t for t in study.trials() if t.state != "FAIL"):
        assert trial.value == trial.objectives["accuracy"] == trial.values[max(trial.values)]
        assert trial.config is not None
        assert trial.objectives["params"] == round(1000 * (1 - trial.config.dropout))


def test_the_best_trial_is_the_first_of_the_front_and_nobody_on_it_is_beaten(root: Path, data: fakes.FakeData) -> None:
    study = searched(root, data, head=TWO, scheduler="none")
    front, whole = study.front(), [t for t in study.trials() if t.state == "COMPLETE"]
    assert study.best() == front[0]
    assert front[0].value == max(t.value or 0 for t in whole)
    assert len(front) >= 3
    for a in front:
        assert not any(
            (b.value or 0) > (a.value or 0) and b.objectives["params"] < a.objectives["params"] for b in whole
        )
    assert overview(study.folder).best == {"number": front[0].number, "value": front[0].value}


def test_the_epoch_after_which_a_trial_broke_a_constraint_sets_no_bar(
    root: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "of_training", lambda _: {"memory_mib": 900.0})
    study = searched(root, data, trials=3, head='constraints = ["memory_mib <= 500"]\n')
    assert [list(t.values) for t in study.trials()] == [[1]] * 3
    assert [judged(t) for t in study.trials()] == [{}] * 3


@pytest.mark.parametrize("name", ["asha", "asha-promote"])
def test_pruning_stays_on_and_the_cheapest_trial_is_trained_to_the_end(
    root: Path, data: fakes.FakeData, name: str
) -> None:
    study = searched(root, data, trials=12, head=TWO, scheduler=name, epochs=4)
    states = study.states()
    assert states["PRUNED"] >= 1
    assert states["RUNNING"] == states["WAITING"] == 0
    cheapest = min((t for t in study.trials() if t.state != "FAIL"), key=lambda t: t.objectives["params"])
    assert cheapest.state == "COMPLETE"


def test_a_trial_that_costs_too_much_is_over_before_its_first_epoch(
    root: Path, data: fakes.FakeData, events: list[Event]
) -> None:
    study = searched(root, data, events, head=LIMIT)
    over = [t for t in study.trials() if not t.feasible]
    assert over
    for trial in over:
        assert (trial.state, dict(trial.values), trial.value) == ("PRUNED", {}, None)
        assert trial.attrs["broken"] == f"params <= 500, got {trial.attrs['costs']['params']}"
        assert trial.counts
    told = [e.broken for e in events if isinstance(e, TrialEnded) and e.broken]
    assert told == [t.attrs["broken"] for t in over]
    assert all(t.attrs["costs"]["params"] <= 500 for t in study.trials() if t.values)
    best = study.best()
    assert best is not None
    assert best.feasible
    assert study.optuna_study.best_trial.number == best.number, "Optuna sees what is feasible"
    assert overview(study.folder).best == {"number": best.number, "value": best.value}


def test_constraints_stand_in_the_form_that_optuna_and_its_dashboard_read(root: Path, data: fakes.FakeData) -> None:
    study = searched(root, data, head='constraints = ["params <= 500", "accuracy >= 0.3"]\n', scheduler="none")
    for frozen in (t for t in study.optuna_study.get_trials() if t.state != optuna.trial.TrialState.FAIL):
        kept = frozen.system_attrs["constraints"]
        assert list(frozen.constraints.values()) == kept
        assert kept[0] == frozen.user_attrs["costs"]["params"] - 500
        assert kept[1] == (0.3 - (frozen.value or 0) if frozen.state == optuna.trial.TrialState.COMPLETE else 0)
    poor = [t for t in study.trials() if t.state == "COMPLETE" and not t.feasible]
    assert poor
    assert not {t.number for t in poor} & {t.number for t in study.candidates()}


def test_a_figure_is_judged_only_after_the_whole_budget(root: Path, data: fakes.FakeData) -> None:
    study = searched(root, data, head='constraints = ["accuracy >= 0.99"]\n')
    judged = {(t.state, t.feasible) for t in study.trials() if t.state != "FAIL"}
    assert judged == {("PRUNED", True), ("COMPLETE", False)}, "what was pruned might have kept it in the end"


def test_memory_is_known_after_an_epoch_and_ends_a_trial_there(
    root: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "of_net", lambda _c, _j: {})
    monkeypatch.setattr(costs, "of_training", lambda _j: {"memory_mib": 300.0})
    study = searched(root, data, head='constraints = ["memory_mib <= 256"]\n', trials=3)
    for trial in study.trials():
        assert (trial.state, list(trial.values)) == ("PRUNED", [1])
        assert trial.attrs["broken"] == "memory_mib <= 256, got 300"
    assert study.best() is None


@pytest.mark.parametrize("spent", [1, 2, 5, 9])
def test_a_search_cut_off_anywhere_goes_on_with_costs_and_verdicts(
    root: Path, data: fakes.FakeData, spent: int
) -> None:
    head = TWO + LIMIT
    searched(root, data, spent=spent, head=head)
    with open_writer(fakes.spec(head=head), root, data) as writer:
        settle(writer)
        run_session(Session(writer, Limits(trials=12), emit=lambda _: None), data)
    study = Study.open(root, "toy")
    assert study.states()["RUNNING"] == study.states()["WAITING"] == 0
    assert sum(t.counts for t in study.trials()) == 12
    for trial in study.trials():
        assert trial.attrs["costs"]["params"] > 0
        assert trial.feasible == (trial.attrs["costs"]["params"] <= 500)


def test_constraints_and_objectives_of_a_study_stay(root: Path, data: fakes.FakeData) -> None:
    searched(root, data, trials=2, head=TWO)
    for head in ("", TWO + LIMIT, 'metric = ["params", "accuracy"]\n'):
        with pytest.raises(SpecError, match=r"a study keeps its (metric|constraints)"):
            open_writer(fakes.spec(head=head), root, data).__enter__()
