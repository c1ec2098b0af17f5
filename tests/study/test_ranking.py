"""Which trial of a study is best, and which may join an ensemble."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fakes
import pytest
from conftest import open_writer, run_session

from ferhpo.search.budget import Limits
from ferhpo.search.events import Event, TrialEnded
from ferhpo.search.session import Session
from ferhpo.study.study import Study
from ferhpo.study.writer import StudyWriter

Make = Callable[..., Study]


def test_the_best_is_a_complete_trial_though_a_pruned_one_had_a_better_value(writer: StudyWriter) -> None:
    numbers = [writer.ask(lambda config, _: config)[0] for _ in range(3)]
    for number, (state, value) in zip(numbers, [("COMPLETE", 0.4), ("PRUNED", 0.6), ("COMPLETE", 0.5)], strict=True):
        writer.report(number, 1, value, {"epoch": 1, "seconds": 1.0})
        writer.finish(number, state, value, {})
    best = writer.reader.best()
    assert best is not None
    assert (best.number, best.value) == (2, 0.5)


def test_without_a_complete_trial_the_best_is_a_pruned_one(writer: StudyWriter) -> None:
    number, _, _ = writer.ask(lambda config, _: config)
    writer.report(number, 1, 0.3, {"epoch": 1, "seconds": 1.0})
    writer.finish(number, "PRUNED", 0.3, {})
    best = writer.reader.best()
    assert best is not None
    assert (best.state, best.value) == ("PRUNED", 0.3)


def test_a_study_without_a_finished_trial_has_no_best(writer: StudyWriter) -> None:
    assert writer.reader.best() is None
    assert writer.reader.candidates() == []


def test_a_trial_that_was_stopped_early_is_neither_best_nor_a_member_with_figures_that_break_a_constraint(
    root: Path, data: fakes.FakeData, events: list[Event]
) -> None:
    with open_writer(fakes.spec(head='constraints = ["accuracy >= 0.3"]\n'), root, data) as writer:
        writer.keep_validation(data.labels, data.groups)
        run_session(Session(writer, Limits(trials=16), emit=events.append), data)
        study = writer.reader
        stopped = [t for t in study.trials() if t.state == "PRUNED" and t.value is not None]
        under, over = ([t.number for t in stopped if ((t.value or 0) < 0.3) == below] for below in (True, False))
        assert under
        assert over
        picked = {t.number for t in (*study.ranking(), *study.candidates())} | set(study.standing["members"])
        assert picked.isdisjoint(under)
        assert picked >= set(over)
        told = {e.number for e in events if isinstance(e, TrialEnded) and e.broken and e.state == "PRUNED"}
        assert told == set(under)
        assert {t.number for t in stopped if "accuracy >= 0.3, got" in t.attrs.get("broken", "")} == told


def test_where_no_trial_keeps_a_figures_constraint_none_is_best(study: Make) -> None:
    made = study(12, head='constraints = ["accuracy >= 0.99"]\n')
    assert (made.best(), made.candidates(), made.standing["members"]) == (None, [], [])
    assert {t.state for t in made.trials() if t.feasible} >= {"PRUNED"}, "a sampler may learn from it"


def test_candidates_are_ordered_by_value_and_have_their_files(study: Make) -> None:
    opened = study(8)
    found = opened.candidates()
    values = [t.value for t in found if t.value is not None]
    assert values == sorted(values, reverse=True)
    assert {t.state for t in found} <= {"COMPLETE", "PRUNED"}
    assert len(found) == opened.states()["COMPLETE"] + opened.states()["PRUNED"]


def test_of_equal_candidates_the_one_that_nothing_beats_comes_first(
    study: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = study(4)
    first, second, *_ = opened.candidates()
    equal = replace(second, value=first.value, state="COMPLETE")
    early, late = sorted((replace(first, state="COMPLETE"), equal), key=lambda t: t.number)
    found = [replace(t, objectives={"accuracy": t.value, "params": p}) for t, p in ((early, 9), (late, 5))]
    assert [t.number for t in opened.candidates(found)] == [early.number, late.number]
    monkeypatch.setattr(Study, "objectives", ["accuracy", "params"])
    monkeypatch.setattr(Study, "directions", ["maximize", "minimize"])
    assert [t.number for t in opened.candidates(found)] == [late.number, early.number]


def test_a_metric_to_be_minimized_ranks_the_other_way(root: Path, data: fakes.FakeData) -> None:
    text = 'metric = "nll"\n' + fakes.spec().text
    spec = fakes.parse_spec(text, name="down")
    with open_writer(spec, root, data) as writer:
        run_session(Session(writer, Limits(trials=6), emit=lambda _: None), data)
    opened = Study.open(root, "down")
    values = [t.value for t in opened.candidates() if t.value is not None]
    best = opened.best()
    assert opened.directions == ["minimize"]
    assert values == sorted(values)
    assert best is not None
    assert best.value == min(t.value for t in opened.trials() if t.state == "COMPLETE" and t.value is not None)
