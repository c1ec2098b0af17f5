"""Schedulers by name, inside a whole search: what they leave in the study, and what a restart makes of it."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import fakes
import optuna
import pytest
from conftest import open_writer, run_session
from optuna.trial import TrialState

from ferhpo import _layout
from ferhpo.errors import UsageError
from ferhpo.search.budget import Limits
from ferhpo.search.events import EpochEnded, Event, TrialBegan, TrialEnded
from ferhpo.search.recovery import settle
from ferhpo.search.sampler import FidelitySampler
from ferhpo.search.scheduler import idle, judged, rebuilt, scheduler
from ferhpo.search.schedulers.asha import Halving, PromotingHalving
from ferhpo.search.schedulers.hyperband import Hyperband
from ferhpo.search.schedulers.median import MedianRule
from ferhpo.search.schedulers.population import Population
from ferhpo.search.schedulers.rivals import Rivals
from ferhpo.search.session import Session
from ferhpo.space.sections import SCHEDULERS, SchedulerSpec
from ferhpo.space.spec import parse_spec
from ferhpo.study.study import Study

TRIALS = 9
every = pytest.mark.parametrize("name", SCHEDULERS)


def search(
    name: str,
    root: Path,
    data: fakes.FakeData,
    *,
    trials: int = TRIALS,
    dies_after: int | None = None,
    emit: Callable[[Event], None] = lambda _: None,
) -> Study:
    with open_writer(fakes.spec(epochs=4, scheduler=name), root, data) as writer:
        writer.keep_validation(data.labels, data.groups)
        settle(writer)
        run_session(Session(writer, Limits(trials=trials), emit=emit), data, dies_after)
    return Study.open(root, "toy")


def check_whole(study: Study, trials: int) -> None:
    """The total is exact, nothing is left under way, and every curve is without gap or repeat."""
    states = study.states()
    assert (states["RUNNING"], states["WAITING"]) == (0, 0)
    found = study.trials()
    assert sum(t.counts for t in found) == trials
    for trial in found:
        epochs = list(range(1, max(trial.values, default=0) + 1))
        assert list(trial.values) == epochs
        own = epochs[trial.attrs.get("copied_at", 0) :]
        assert [row["epoch"] for row in trial.attrs.get("history", [])] == own
        if trial.state in {"COMPLETE", "PRUNED"}:
            assert trial.attrs["seconds"] == pytest.approx(0.5 * len(own))
    assert not list(study.folder.rglob(_layout.STATE)), "a search that ended leaves no state"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("asha", Halving),
        ("asha-promote", PromotingHalving),
        ("hyperband", Hyperband),
        ("median", MedianRule),
        ("pbt", Population),
        ("none", Halving),
    ],
)
def test_a_study_file_names_a_scheduler(name: str, kind: type) -> None:
    assert type(scheduler(SchedulerSpec(name=name), 9, maximize=True)) is kind


def test_a_scheduler_that_never_acts_is_named_as_such() -> None:
    assert idle(SchedulerSpec(name="asha", grace=8), 8) == (
        "asha stops no trial: its grace, 8 epochs, is not shorter than a trial, 8; lower grace in [scheduler], or name "
        'it "none"'
    )
    assert idle(SchedulerSpec(name="pbt", grace=9), 8) is not None
    assert idle(SchedulerSpec(name="asha", grace=1), 8) is None
    assert idle(SchedulerSpec(name="asha", grace=1), 1) is None, "there is nothing to stop"
    assert idle(SchedulerSpec(name="none", grace=8), 8) is None


def test_a_population_that_leaves_no_trial_for_a_copy_is_named() -> None:
    spec = SchedulerSpec(name="pbt", grace=1, population=8)
    assert idle(spec, 8, 8) == (
        "pbt copies no trial: a copy is a trial too, and a population of 8 leaves none of 8 for them; lower population "
        "in [scheduler], or raise --trials"
    )
    assert idle(spec, 8, 9) is None
    assert idle(replace(spec, name="asha"), 8, 8) is None


def test_an_unknown_scheduler_is_refused() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'hyperband'"):
        SchedulerSpec(name="hyperbant")


@every
def test_a_search_ends_with_its_total_and_a_trial_that_had_its_whole_budget(
    name: str, root: Path, data: fakes.FakeData
) -> None:
    study = search(name, root, data)
    check_whole(study, TRIALS)
    assert study.states()["COMPLETE"] >= 1


@pytest.mark.parametrize(
    ("name", "dies_after"),
    [*(("asha-promote", epochs) for epochs in (1, 3, 4, 6, 10)), ("hyperband", 5), ("median", 7)],
)
def test_a_search_killed_after_any_epoch_goes_on(name: str, dies_after: int, root: Path, data: fakes.FakeData) -> None:
    search(name, root, data, dies_after=dies_after)
    check_whole(search(name, root, data), TRIALS)


def test_paused_trials_go_on_under_their_own_numbers_best_first(
    root: Path, data: fakes.FakeData, events: list[Event]
) -> None:
    study = search("asha-promote", root, data, emit=events.append)
    began = [e for e in events if isinstance(e, TrialBegan)]
    paused = {e.number for e in events if isinstance(e, TrialEnded) and e.state == "PAUSED"}
    promoted = [e for e in began if e.epoch]
    assert {e.epoch for e in promoted} <= {1, 3}
    assert {e.number for e in promoted} <= paused
    assert len({(e.number, e.epoch) for e in began}) == len(began), "nothing is begun twice from the same epoch"
    reached = {t.number: max(t.values) for t in study.trials() if t.values}
    at_first = {t.number: t.values[1] for t in study.trials() if t.values}
    best = max(at_first, key=lambda number: at_first[number])
    assert reached[best] > 1, "the best of the first rung went on"
    ended = [e.epoch for e in events if isinstance(e, EpochEnded) and e.number == best]
    assert all(after == before + 1 for before, after in pairwise(ended))


def test_a_paused_trial_waits_with_its_state_and_another_run_promotes_it(root: Path, data: fakes.FakeData) -> None:
    spec = fakes.spec(epochs=4, scheduler="asha-promote")
    with open_writer(spec, root, data) as writer:
        session = Session(writer, Limits(trials=TRIALS), emit=lambda _: None)
        run_session(session, data, epochs=2)
        assert writer.waiting() == {0: 1, 1: 1}
        assert len(list(writer.folder.rglob(_layout.STATE))) == 2
        started = session.next_trial()
        assert started is not None
        assert started.number not in {0, 1}, "two of a rung promote nobody: a new trial starts"
        assert started.epoch == 0
    check_whole(search("asha-promote", root, data), TRIALS)


def test_no_more_paused_trials_than_the_bound_keep_their_state(
    root: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ferhpo.search.schedulers.asha.PAUSED", 2)
    spec = fakes.spec(epochs=4, scheduler="asha-promote")
    with open_writer(spec, root, data) as writer:
        most = 0

        def emit(_: Event) -> None:
            nonlocal most
            most = max(most, len(writer.waiting()))

        run_session(Session(writer, Limits(trials=TRIALS), emit=emit), data)
        assert most == 3, "the one too many is over at once"
    check_whole(Study.open(root, "toy"), TRIALS)


def test_a_trials_bracket_stands_in_the_study(root: Path, data: fakes.FakeData) -> None:
    study = search("hyperband", root, data, trials=8)
    brackets = [t.attrs["bracket"] for t in study.trials()]
    rule = Hyperband.of((1, 3), 3, maximize=True)
    assert brackets == [rule.begin(number)["bracket"] for number in range(8)]
    never = [t for t in study.trials() if t.attrs["bracket"] == 2]
    assert {t.state for t in never} <= {"COMPLETE", "FAIL"}


def test_a_trial_of_another_budget_sets_no_bar(root: Path, data: fakes.FakeData) -> None:
    with open_writer(fakes.spec(epochs=9), root, data) as writer:
        number, _, _ = writer.ask(lambda config, _: replace(config, epochs=3))
        writer.report(number, 1, 0.99, {"epoch": 1, "seconds": 1.0})
        writer.finish(number, "FAIL", None, {})
        rule = Session(writer, Limits(trials=5), emit=lambda _: None)._rule
        assert rule.goes_on(1, 1, 0.1)


def test_the_last_value_of_a_finished_trial_is_nobodys_bar(study: Callable[..., Study]) -> None:
    found = {t.state: t for t in study(12).trials()}
    complete, pruned = found["COMPLETE"], found["PRUNED"]
    assert list(judged(complete)) == [1, 2]
    assert judged(pruned) == pruned.values


def test_a_changed_scheduler_takes_paused_trials_along(root: Path, data: fakes.FakeData) -> None:
    search("asha-promote", root, data, dies_after=7)
    check_whole(search("asha", root, data), TRIALS)


def test_a_paused_trial_whose_files_are_gone_fails_with_its_reason(root: Path, data: fakes.FakeData) -> None:
    spec = fakes.spec(epochs=4, scheduler="asha-promote")
    with open_writer(spec, root, data) as writer:
        session = Session(writer, Limits(trials=2), emit=lambda _: None)
        run_session(session, data, epochs=2)
        for path in writer.folder.rglob(_layout.RECORD):
            path.unlink()
        session._give_up([0])
        assert writer.reader.trials()[0].attrs["error"] == "it waited to be promoted, and its files are gone"


def test_a_trial_that_failed_after_it_was_promoted_holds_nobody_back(root: Path, data: fakes.FakeData) -> None:
    with open_writer(fakes.spec(epochs=4, scheduler="asha-promote"), root, data) as writer:
        job = fakes.job(writer.folder, data)
        found = Session(writer, Limits(trials=4), emit=lambda _: None)
        for _ in range(4):
            assignment = found.next_trial()
            assert assignment is not None
            if assignment.epoch:
                break
            found.epoch(assignment.number, fakes.worker(assignment, job)())
        else:
            assignment = found.next_trial()
        assert assignment is not None
        assert assignment.epoch == 1, "the best goes on"
        found.epoch(assignment.number, {"error": "a loss must be finite"})
        again = Session(writer, Limits(trials=4), emit=lambda _: None)  # as after a restart
        for asked in (again, found):
            values = next(iter(asked._rule.values.values()))  # pyright: ignore[reportAttributeAccessIssue]
            assert assignment.number not in values
        run_session(found, data)
        states = writer.reader.states()
    assert states["COMPLETE"] >= 1
    assert states["FAIL"] == 1


def test_the_default_sampler_learns_from_paused_trials() -> None:
    sampler = FidelitySampler(max_epochs=4, seed=0, startup=2)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    *asked, _ = [study.ask() for _ in range(9)]
    for trial in asked:
        trial.report(trial.suggest_float("lr", 0.0, 1.0), step=1)
    for trial in asked:
        study._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
    new = study.get_trials()[len(asked)]
    space = sampler.infer_relative_search_space(study, new)
    assert any(sampler.sample_relative(study, new, space) for _ in range(20)), "trials that only wait are enough"


def test_a_trial_that_broke_a_limit_after_a_rung_leaves_it_also_after_a_restart(
    root: Path, data: fakes.FakeData
) -> None:
    limited = parse_spec(f'constraints = ["memory_mib <= 1000"]\n{fakes.spec().text}', name="toy")
    with open_writer(limited, root, data) as writer:
        session = Session(writer, Limits(trials=2), emit=lambda _: None)
        begun = session.next_trial()
        assert begun is not None
        work = fakes.worker(begun, replace(fakes.job(writer.folder, data, limited), costs=frozenset()))
        for mib, goes_on in ((990, True), (1010, False)):
            record = work()
            record["attrs"]["costs"] = {"memory_mib": mib}
            assert session.epoch(begun.number, record) == goes_on
        again = rebuilt(limited, writer.reader.trials(), Rivals.of_study(limited))
        for rule in (session._rule, again):
            assert isinstance(rule, Halving)
            assert not any(rule.values.values())
