"""What a reader of a study sees, and that it cannot see a trial in a state that is not true."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fakes
import optuna
import pytest
from conftest import open_writer, run_session

from ferhpo import _layout
from ferhpo.errors import StudyError
from ferhpo.search.budget import Limits
from ferhpo.search.session import Session
from ferhpo.study import store
from ferhpo.study.study import Study, study_names
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


def test_the_folder_of_studies_may_be_given_as_text(study: Make) -> None:
    opened = study(1)
    again = Study.open(str(opened.folder.parent), "toy")
    assert (again.folder, again.url) == (opened.folder, opened.url)
    with pytest.raises(StudyError, match="did you mean 'toy'"):
        Study.open(str(opened.folder.parent), "toys")


def test_states_names_every_state_and_counts_every_trial(study: Make) -> None:
    states = study(6).states()
    assert list(states) == ["COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING"]
    assert sum(states.values()) == 6
    assert states["RUNNING"] == states["WAITING"] == 0


def test_a_trial_whose_files_are_gone_is_no_candidate(study: Make) -> None:
    opened = study(4)
    first = opened.candidates()[0]
    shutil.rmtree(_layout.trial_folder(opened.folder, first.number))
    assert first.number not in [t.number for t in opened.candidates()]
    assert opened.trials()[first.number].checkpoint is None


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
    with pytest.raises(StudyError, match="study 'other' was not begun by `ferhpo search`"):
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


def test_a_study_elsewhere_is_found_again_without_its_url(tmp_path: Path, root: Path, data: fakes.FakeData) -> None:
    url = store.sqlite_url(tmp_path / "elsewhere" / "all.db")
    with open_writer(fakes.spec(), root, data, storage=url) as writer:
        run_session(Session(writer, Limits(trials=2), emit=lambda _: None), data)
    assert not (root / "toy" / "study.db").exists()
    assert study_names(root) == ["toy"]
    assert len(Study.open(root, "toy").trials()) == 2


def test_a_search_does_not_copy_what_its_study_holds_whenever_it_looks(writer: StudyWriter) -> None:
    assert writer.reader.attrs["data"] is writer.reader.attrs["data"]


def test_a_study_that_a_notebook_shows_shows_no_password(study: Make) -> None:
    opened = replace(study(1), url="postgresql://me:s3cr3t@host/db")
    assert "s3cr3t" not in repr(opened)
    assert "name='toy'" in repr(opened)


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
