"""The best trials keep their files, running ones lose nothing, the rest goes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fakes
import pytest
from conftest import open_writer, run_session

from ferhpo import _layout
from ferhpo.search import costs
from ferhpo.search.budget import Limits
from ferhpo.search.session import Session
from ferhpo.study.artifacts import KEEP, drop_state, keep_best
from ferhpo.study.study import Study


def folders(study: Study) -> set[int]:
    return {int(p.name) for p in (study.folder / "trials").iterdir()}


def test_the_best_keep_their_files_and_the_rest_is_deleted(study: Callable[..., Study]) -> None:
    opened = study(8)
    ranked = [t.number for t in opened.candidates()]
    assert len(ranked) > 3
    assert sorted(keep_best(opened, keep=3)) == sorted(ranked[3:])
    assert folders(opened) == set(ranked[:3])
    assert [t.number for t in opened.candidates()] == ranked[:3]


def test_values_of_trials_without_files_stay(study: Callable[..., Study]) -> None:
    opened = study(6)
    before = [(t.number, t.state, t.value) for t in opened.trials()]
    keep_best(opened, keep=1)
    assert [(t.number, t.state, t.value) for t in opened.trials()] == before


def test_named_trials_keep_theirs_whatever_their_rank(study: Callable[..., Study]) -> None:
    opened = study(6)
    worst = opened.candidates()[-1].number
    keep_best(opened, keep=1, also=[worst])
    assert folders(opened) == {opened.candidates()[0].number, worst}


def test_repeats_take_no_place_of_the_searchs_trials(root: Path, data: fakes.FakeData) -> None:
    with open_writer(fakes.spec(scheduler="none"), root, data) as writer:
        run_session(Session(writer, Limits(trials=6), emit=lambda _: None), data)
        found = writer.reader.every()
        ranked = [t.number for t in writer.reader.candidates(found)]
        repeats = [replace(t, number=100 + t.number, attrs={**t.attrs, "repeats": t.number}) for t in found]
        keep_best(writer.reader, keep=3, found=[*repeats, *found])
        assert folders(writer.reader) == set(ranked[:3])


def test_the_front_keeps_its_files_however_low_it_ranks_by_the_metric(
    root: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "of_net", fakes.net_costs)
    spec = fakes.spec(head='metric = ["accuracy", "params"]\n', scheduler="none")
    with open_writer(spec, root, data) as writer:
        run_session(Session(writer, Limits(trials=12), emit=lambda _: None), data)
        keep_best(writer.reader, keep=1)
        front = {t.number for t in writer.reader.front()}
        assert len(front) > 1
        assert folders(writer.reader) == front


def test_nothing_is_deleted_while_there_are_few(study: Callable[..., Study]) -> None:
    opened = study(6)
    assert keep_best(opened) == []
    assert KEEP == 20


def test_a_trial_under_way_or_waiting_keeps_its_files(root: Path, data: fakes.FakeData) -> None:
    with open_writer(fakes.spec(scheduler="none"), root, data) as writer:
        session = Session(writer, Limits(trials=4), emit=lambda _: None)
        run_session(session, data, epochs=4)
        running = next(iter(session.running))
        assert writer.reader.trials()[running].state == "RUNNING"
        assert keep_best(writer.reader, keep=0) == [0]
        assert folders(writer.reader) == {running}
        session.hand_back(running)
        assert keep_best(writer.reader, keep=0) == []
        assert folders(writer.reader) == {running}


def test_a_failed_trial_keeps_no_files(root: Path, data: fakes.FakeData) -> None:
    with open_writer(fakes.spec(), root, data) as writer:
        number, _, _ = writer.ask(lambda config, _: config)
        _layout.epoch_folder(_layout.trial_folder(writer.folder, number), 1).mkdir(parents=True)
        writer.finish(number, "FAIL", None, {"error": "x"})
        assert keep_best(writer.reader) == [number]
        assert folders(writer.reader) == set()


def test_an_ended_trial_loses_only_what_a_training_needs_to_go_on(tmp_path: Path) -> None:
    for name in (_layout.STATE, _layout.STATE_TENSORS, _layout.WEIGHTS, _layout.CARD):
        (tmp_path / name).write_text("x")
    drop_state(tmp_path)
    drop_state(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {_layout.WEIGHTS, _layout.CARD}
