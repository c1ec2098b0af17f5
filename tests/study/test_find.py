"""Where the name of a study leads; `tests/cli/test_options.py` looks up every place."""

from collections.abc import Callable
from pathlib import Path

import fakes
import pytest
from conftest import open_writer

from ferhpo.errors import StudyError, UsageError
from ferhpo.study import store
from ferhpo.study.find import find_spec, is_path, name_of, packaged
from ferhpo.study.overview import STORAGE_FILE
from ferhpo.study.study import Study


def test_a_name_and_a_path_are_told_apart() -> None:
    assert [is_path(s) for s in ("a", "starting_points/a", "a.toml", "/a", "./a")] == [False, False, True, True, True]
    assert [name_of(s) for s in ("a", "starting_points/a", "x/a.toml")] == ["a", "a", "a"]


def test_packaged_studies_are_found_and_others_are_not(tmp_path: Path) -> None:
    assert (packaged() / "quickstart.toml").is_file()
    assert find_spec("fer2013", tmp_path).name == "fer2013"
    with pytest.raises(UsageError, match="did you mean 'quickstart'"):
        find_spec("quickstar", tmp_path)


def test_a_path_that_a_shell_completed_leads_to_the_file_and_not_to_the_database(
    study: Callable[..., Study], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study(2)
    monkeypatch.chdir(root.parent)
    assert find_spec("studies/toy", Path("studies")).seed == 0, "there is no file yet"
    (root / "toy.toml").write_text("seed = 7\n")
    for written in ("studies/toy", "studies/toy/", "toy"):
        assert find_spec(written, Path("studies")).seed == 7
        assert name_of(written) == "toy"


def test_a_study_without_a_file_is_found_in_the_database_that_is_named(
    root: Path, data: fakes.FakeData, tmp_path: Path
) -> None:
    url = store.sqlite_url(tmp_path / "all.db")
    with open_writer(fakes.spec(), root, data, storage=url):
        pass
    (root / "toy" / STORAGE_FILE).write_text(store.sqlite_url(tmp_path / "gone.db"))
    assert find_spec("toy", root, url).text == fakes.spec().text
    with pytest.raises(StudyError):
        find_spec("toy", root)
