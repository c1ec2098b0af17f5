import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fakes
import pytest
from conftest import open_writer

from ferhpo.errors import StudyError
from ferhpo.study.overview import overview, read_only, study_names
from ferhpo.study.study import Study


@pytest.mark.parametrize("trials", [1, 6, 12])
def test_an_overview_tells_what_the_study_itself_tells(study: Callable[..., Study], trials: int) -> None:
    whole = study(trials)
    best = whole.best()
    assert best is not None
    found = overview(whole.folder)
    assert found.states == whole.states()
    assert found.n_trials == sum(whole.states().values())
    assert found.best == {"number": best.number, "value": best.value}


def test_a_study_without_an_ended_trial_has_no_best(root: Path, data: fakes.FakeData) -> None:
    with open_writer(fakes.spec(), root, data) as writer:
        assert overview(writer.folder).best is None
        assert overview(writer.folder).states["WAITING"] == 1


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_a_file_that_is_no_study_is_refused_by_its_path(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "study.db").write_bytes(content)
    with pytest.raises(StudyError, match=r"a study database must open, got .*study.db"):
        overview(tmp_path / "x")


def test_a_folder_that_was_renamed_is_told_the_name_in_its_database(study: Callable[..., Study], root: Path) -> None:
    study(1).folder.rename(root / "other")
    with pytest.raises(StudyError, match=r"must hold the study of the folder's name, 'other', and it holds 'toy'; ren"):
        overview(root / "other")


def test_a_study_in_a_folder_that_may_not_be_written_is_listed(
    root: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_writer(fakes.spec(), root, data) as writer:
        folder = writer.folder
    monkeypatch.setattr("os.access", lambda _path, mode: mode != os.W_OK)
    assert read_only(folder / "study.db") == {"mode": "ro", "immutable": "1"}
    assert overview(folder).n_trials == 1


def test_names_are_those_of_folders_with_a_study(tmp_path: Path) -> None:
    for name, file in (("b", "study.db"), ("a", "storage.url"), ("c", "notes.txt")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).touch()
    assert study_names(tmp_path) == ["a", "b"]


def test_listing_imports_neither_optuna_nor_numpy() -> None:
    code = "import sys, ferhpo.study.overview; print({'optuna', 'numpy', 'sqlalchemy'} & sys.modules.keys())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
