"""What a reader of a study sees, and that it cannot see a trial in a state that is not true."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import fakes
import numpy as np
import optuna
import pytest
from conftest import open_writer, run_session

from ferhpo import _layout
from ferhpo.errors import CheckpointError, StudyError
from ferhpo.search.events import Event, TrialEnded
from ferhpo.search.session import Limits, Session
from ferhpo.study import store
from ferhpo.study.study import Study, recorded_data, study_names
from ferhpo.study.writer import StudyWriter

Make = Callable[..., Study]


def test_trials_are_listed_by_number_with_all_that_is_known(study: Make) -> None:
    opened = study(6)
    trials = opened.trials()
    assert [t.number for t in trials] == list(range(6))
    first = trials[0]
    assert (first.state, first.params) == ("COMPLETE", {"lr": 0.1, "dropout": 0.2})
    assert first.config is not None
    assert first.config.lr == 0.1
    assert list(first.values) == [1, 2, 3]
    assert first.checkpoint == _layout.epoch_folder(_layout.trial_folder(opened.folder, 0), 3)
    assert first.attrs["parameters"] == 1234
    assert first.started is not None
    assert first.ended is not None
    assert first.started <= first.ended


def test_a_study_says_what_it_is_about(study: Make) -> None:
    opened = study(2)
    assert (opened.name, opened.metric, opened.directions) == ("toy", "accuracy", ["maximize"])
    assert opened.spec.text == fakes.spec().text
    assert opened.data["classes"] == list(fakes.CLASSES)
    assert opened.openings == []


def test_states_names_every_state_and_counts_every_trial(study: Make) -> None:
    states = study(6).states()
    assert list(states) == ["COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING"]
    assert sum(states.values()) == 6
    assert states["RUNNING"] == states["WAITING"] == 0


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


def test_a_trial_whose_files_are_gone_is_no_candidate(study: Make) -> None:
    opened = study(4)
    first = opened.candidates()[0]
    shutil.rmtree(_layout.trial_folder(opened.folder, first.number))
    assert first.number not in [t.number for t in opened.candidates()]
    assert opened.trials()[first.number].checkpoint is None


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


def test_a_running_trial_is_running_while_its_search_lives_and_interrupted_afterwards(
    root: Path, data: fakes.FakeData
) -> None:
    spec = fakes.spec()
    with open_writer(spec, root, data) as writer:
        writer.ask(lambda config, _: config)
        reader = Study.open(root, spec.name)
        assert reader.running
        assert [t.state for t in reader.trials()] == ["RUNNING"]
    assert not reader.running
    assert [t.state for t in reader.trials()] == ["INTERRUPTED"]
    assert reader.states()["RUNNING"] == 1, "the database's own word"


def test_a_running_trial_of_a_search_on_another_machine_is_taken_as_running(root: Path, data: fakes.FakeData) -> None:
    with open_writer(fakes.spec(), root, data) as writer:
        writer.ask(lambda config, _: config)
        writer._study.set_user_attr("driver", {"host": "another.example"})
    assert [t.state for t in Study.open(root, "toy").trials()] == ["RUNNING"]


def test_a_trial_that_was_queued_again_does_not_count(writer: StudyWriter) -> None:
    number, _, _ = writer.ask(lambda config, _: config)
    writer.requeue(number, "interrupted")
    assert [t.counts for t in writer.reader.trials()] == [False, False]


def test_an_opening_is_recorded_with_date_version_and_command(study: Make) -> None:
    opened = study(2)
    assert opened.record_opening("ferhpo ensemble --test", "0.1.0") == 1
    assert opened.record_opening("ferhpo train --test", "0.1.0") == 2
    assert [o["command"] for o in opened.openings] == ["ferhpo ensemble --test", "ferhpo train --test"]
    assert opened.openings[0]["version"] == "0.1.0"
    assert opened.openings[0]["date"].startswith("20")


def test_commands_that_open_the_test_split_at_once_lose_no_opening(study: Make) -> None:
    opened = study(2)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: opened.record_opening(f"command {i}", "0.1.0"), range(8)))
    assert sorted(o["command"] for o in opened.openings) == [f"command {i}" for i in range(8)]


def test_validation_rows_are_read_back(study: Make, data: fakes.FakeData) -> None:
    labels, groups = study(2).validation()
    assert np.array_equal(labels, data.labels)
    assert np.array_equal(groups, data.groups)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 broken"])
def test_damaged_validation_rows_are_refused_with_the_file(study: Make, content: bytes | None) -> None:
    opened = study(2)
    path = opened.folder / "val.npz"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"val\.npz, which cannot be read .*`ferhpo search` writes it anew"):
        opened.validation()


def test_a_study_that_does_not_exist_is_refused_with_the_nearest(study: Make, root: Path) -> None:
    study(2)
    with pytest.raises(StudyError, match=r"a study must exist in .*, got 'toi'; did you mean 'toy'"):
        Study.open(root, "toi")
    assert not (root / "toi").exists()


def test_a_root_without_studies_says_so(root: Path) -> None:
    with pytest.raises(StudyError, match="there is none here yet, `ferhpo search` begins one"):
        Study.open(root, "toy")
    assert not root.exists()


def test_a_database_without_the_study_names_those_it_has(study: Make, root: Path) -> None:
    url = study(2).url
    with pytest.raises(StudyError, match=r"a study must exist in .*, got 'toi'; did you mean 'toy'"):
        Study.open(root, "toi", url)


def test_a_database_that_is_no_ferhpo_study_is_refused(root: Path) -> None:
    (root / "other").mkdir(parents=True)
    optuna.create_study(study_name="other", storage=store.sqlite_url(root / "other" / "study.db"))
    with pytest.raises(StudyError, match="a study must be one that `ferhpo search` began, and 'other' was not"):
        Study.open(root, "other")


def test_a_damaged_database_is_refused_in_one_sentence(study: Make, root: Path) -> None:
    path = study(2).folder / "study.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:5000] + b"\0" * (len(whole) - 5000))
    with pytest.raises(StudyError) as caught:
        Study.open(root, "toy")
    assert "\n" not in str(caught.value)


def test_studies_are_named_in_order(study: Make, root: Path) -> None:
    study(2, name="b")
    study(2, name="a")
    (root / ".cache").mkdir()
    (root / "empty").mkdir()
    assert study_names(root) == ["a", "b"]
    assert study_names(root / "nowhere") == []


def test_what_a_study_wrote_down_of_its_data_is_found_or_none(study: Make, root: Path) -> None:
    assert recorded_data(root, "toy") is None
    study(2)
    found = recorded_data(root, "toy")
    assert found is not None
    assert found["fingerprint"] == "f" * 64


def test_a_study_elsewhere_is_found_again_without_its_url(tmp_path: Path, root: Path, data: fakes.FakeData) -> None:
    url = store.sqlite_url(tmp_path / "elsewhere" / "all.db")
    with open_writer(fakes.spec(), root, data, storage=url) as writer:
        run_session(Session(writer, Limits(trials=2), emit=lambda _: None), data)
    assert not (root / "toy" / "study.db").exists()
    assert study_names(root) == ["toy"]
    assert len(Study.open(root, "toy").trials()) == 2


def test_a_study_at_a_relative_url_opens_from_every_folder(
    tmp_path: Path, root: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_writer(fakes.spec(), root, data, storage="sqlite:///all.db"):
        pass
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    opened = Study.open(root, "toy")
    assert opened.shown_url == f"sqlite:///{tmp_path}/all.db"
    assert not (tmp_path / "other" / "all.db").exists()


def test_reading_needs_no_right_to_write(study: Make, root: Path) -> None:
    opened = study(2)
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    opened.folder.chmod(0o500)
    try:
        assert len(Study.open(root, "toy").trials()) == 2
    finally:
        opened.folder.chmod(0o700)


def test_reading_a_study_loads_neither_torch_nor_ray(study: Make, root: Path) -> None:
    study(2)
    program = (
        "import sys\nfrom pathlib import Path\nfrom ferhpo.study.study import Study\n"
        "Study.open(Path(sys.argv[1]), 'toy').best()\nprint({'torch', 'ray', 'timm', 'pandas'} & sys.modules.keys())"
    )
    command = [sys.executable, "-c", program, str(root)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "set()\n"
