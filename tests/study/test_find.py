"""Where the name of a study leads, place by place."""

from collections.abc import Callable
from pathlib import Path

import fakes
import pytest
from conftest import open_writer

from ferhpo.errors import SpecError, StudyError, UsageError
from ferhpo.study import find, store
from ferhpo.study.find import find_spec, is_path, name_of, packaged
from ferhpo.study.overview import STORAGE_FILE
from ferhpo.study.study import Study


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that stands for the packaged study files."""
    folder = tmp_path / "package"
    monkeypatch.setattr(find, "packaged", lambda: folder)
    return folder


def write(folder: Path, name: str, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(f"seed = {seed}\n")


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


def test_a_name_is_looked_up_here_then_in_the_root_then_in_the_package(tmp_path: Path, brought: Path) -> None:
    root = tmp_path / "root"
    write(brought, "a", 3)
    assert find_spec("a", root).seed == 3
    write(root, "a", 2)
    assert find_spec("a", root).seed == 2
    write(tmp_path / "studies", "a", 1)
    assert find_spec("a", root).seed == 1


def test_a_path_is_taken_as_it_is(tmp_path: Path, brought: Path) -> None:
    write(tmp_path / "studies", "a", 1)
    write(tmp_path / "else", "a", 2)
    assert find_spec("else/a.toml", Path("studies")).seed == 2
    assert find_spec(str(tmp_path / "else" / "a.toml"), Path("studies")).seed == 2


def test_a_path_to_nothing_is_refused() -> None:
    with pytest.raises(SpecError, match=r"else/a\.toml: a study file must be a readable text file"):
        find_spec("else/a.toml", Path("studies"))


def test_a_name_may_stand_in_a_folder(tmp_path: Path, brought: Path) -> None:
    write(brought / "starting", "a", 3)
    root = tmp_path / "root"
    assert (find_spec("starting/a", root).seed, find_spec("starting/a", root).name) == (3, "a")
    write(tmp_path / "studies" / "starting", "a", 1)
    assert find_spec("starting/a", root).seed == 1


def test_a_name_in_a_folder_is_proposed_whole(brought: Path) -> None:
    write(brought / "starting", "cbam", 3)
    with pytest.raises(UsageError, match=r"there is no studies/starting/cban\.toml; did you mean 'starting/cbam'"):
        find_spec("starting/cban", Path("studies"))


@pytest.mark.parametrize("path", ["/nowhere/a", "./a", "../a"])
def test_a_path_without_its_ending_is_no_name(path: str) -> None:
    with pytest.raises(SpecError, match="a: a study file must be a readable text file"):
        find_spec(path, Path("studies"))


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"there is no studies/quikstart\.toml; did you mean 'quickstart'"):
        find_spec("quikstart", Path("studies"))


def test_the_packaged_studies_are_found_from_anywhere() -> None:
    assert {"quickstart", "fer2013"} <= {p.stem for p in packaged().glob("*.toml")}
    assert find_spec("quickstart", Path("studies")).name == "quickstart"


@pytest.mark.parametrize(
    ("study", "name"),
    [("toy", "toy"), ("toy.toml", "toy"), ("a/b/toy.toml", "toy"), ("v1.2", "v1.2"), ("a/v1.2", "v1.2")],
)
def test_the_name_of_a_study_is_that_of_its_file(study: str, name: str) -> None:
    assert name_of(study) == name
