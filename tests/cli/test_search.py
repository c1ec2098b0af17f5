"""`ferhpo search` refuses bad input in one line and loses nothing; what needs no new trial needs no Ray."""

import sys
from collections.abc import Callable
from pathlib import Path

import fakes
import pytest

from ferhpo.cli.search import closing
from ferhpo.search.budget import Limits
from ferhpo.search.runner import Outcome
from ferhpo.search.session import Session
from ferhpo.space.spec import read_spec
from ferhpo.study.source import open_data
from ferhpo.study.study import Study
from tests.cli.conftest import Run
from tests.conftest import open_writer, run_session
from tests.data.made_up import row, small_csv, write_csv

DATA = "fer2013.csv"


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make sure that no test here starts Ray."""
    monkeypatch.setitem(sys.modules, "ray", None)


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return small_csv(tmp_path / DATA)


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """Return the study file ./studies/toy.toml."""
    path = tmp_path / "studies" / "toy.toml"
    path.parent.mkdir()
    path.write_text(fakes.SPEC.format(epochs=3, trials=4, scheduler="asha"))
    return path


@pytest.fixture
def searched(toy: Path, csv: Path, root: Path, data: fakes.FakeData) -> Callable[[], object]:
    """Search the study toy on the csv with the fake trainer; return a function that says all that is there."""
    prepared = open_data(read_spec(toy), root / ".cache", given=csv)
    with open_writer(read_spec(toy), root, prepared) as writer:  # pyright: ignore[reportArgumentType]
        writer.keep_validation(data.labels, data.groups)
        run_session(Session(writer, Limits(trials=4), emit=lambda _: None), data)

    def everything() -> object:
        study = Study.open(root, "toy")
        files = sorted(p.relative_to(root) for p in (root / "toy" / "trials").rglob("*"))
        return files, dict(study.attrs), [(t.state, t.value, t.params, t.values, t.attrs) for t in study.trials()]

    return everything


def nothing_begun(root: Path) -> bool:
    return not list(root.glob("*/study.db"))


def test_an_unknown_study_is_misuse_with_the_nearest(run: Run) -> None:
    line = run("search", "--study", "quickstar").failed(2)
    assert "a study must have a file, and there is no studies/quickstar.toml; did you mean 'quickstart'?" in line


def test_a_study_file_that_breaks_a_rule_is_misuse_with_file_and_line(run: Run, toy: Path) -> None:
    toy.write_text("[budget]\nepoch = 3\n")
    assert "studies/toy.toml:2: unknown key 'epoch' in [budget]" in run("search", "--study", "toy").failed(2)


def test_without_data_the_user_is_told_what_to_give(run: Run, toy: Path) -> None:
    assert "study 'toy' names no images; give --data" in run("search", "--study", "toy").failed(2)


def test_data_that_are_not_there_are_named(run: Run, toy: Path) -> None:
    assert "none.csv: there is no such file" in run("search", "--study", "toy", "--data", "none.csv").failed(1)


@pytest.mark.parametrize(
    ("header", "rows", "where"),
    [
        ("emotion,pixel,Usage", [row(0)], "fer2013.csv:1: "),
        ("emotion,pixels,Usage", [row(0), row(3, pixels=" ".join(["1"] * 2303))], "fer2013.csv:3: "),
        ("emotion,pixels,Usage", [row(0), row(3, pixels=" ".join(["1"] * 2303 + ["x"]))], "fer2013.csv:3: "),
        ("emotion,pixels,Usage", [row(0), row(3, "Trainig", seed=1)], "fer2013.csv:3: "),
        ("emotion,pixels,Usage", [], "fer2013.csv:1: "),
    ],
    ids=["column", "2303 pixels", "a letter", "usage", "no rows"],
)
def test_a_malformed_csv_is_one_line_with_file_and_line(
    run: Run, toy: Path, root: Path, tmp_path: Path, header: str, rows: list[str], where: str
) -> None:
    write_csv(tmp_path / DATA, rows, header)
    assert where in run("search", "--study", "toy", "--data", DATA).failed(1)
    assert nothing_begun(root)


def test_an_empty_csv_is_one_line(run: Run, toy: Path, root: Path, tmp_path: Path) -> None:
    (tmp_path / DATA).write_bytes(b"")
    assert "fer2013.csv" in run("search", "--study", "toy", "--data", DATA).failed(1)
    assert nothing_begun(root)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trials", 0], "--trials must be at least 1, got 0"),
        (["--trials", -3], "--trials must be at least 1, got -3"),
        (["--max-failures", 0], "--max-failures must be at least 1, got 0"),
        (["--epochs-total", 0], "--epochs-total must be at least 1, got 0"),
        (["--device-seconds", 0], "--device-seconds must be a number above 0, got 0"),
        (["--stop-when-flat", -1], "--stop-when-flat must be a number above 0, got -1"),
        (["--stop-when-flat", "nan"], "--stop-when-flat must be a number above 0, got nan"),
        (
            ["--timeout", "soon"],
            "a duration is a number above 0 with s, m, h or d after it, like 90s or 1.5h, got 'soon'",
        ),
        (["--timeout", "0"], "a duration is a number above 0"),
        (["--timeout", ""], "a duration is a number above 0"),
        (["--cpus-per-trial", 0], "--cpus-per-trial must be at least 1, got 0"),
        (["--gpus-per-trial", -1], "--gpus-per-trial must be a number of 0 or more, got -1"),
        (["--gpus-per-trial", 1.5], "--gpus-per-trial must be a whole number or a fraction of one GPU, got 1.5"),
        (["--concurrency", 0], "--concurrency must be at least 1, got 0"),
        (["--storage", "sqlite://"], "a study must be kept in a file"),
    ],
)
def test_a_value_that_makes_no_sense_is_misuse(
    run: Run, toy: Path, csv: Path, root: Path, words: list[object], message: str
) -> None:
    assert message in run("search", "--study", "toy", "--data", csv, *words).failed(2)
    assert nothing_begun(root)


def test_a_try_outside_its_range_is_misuse_before_anything_begins(
    run: Run, toy: Path, csv: Path, root: Path, tmp_path: Path
) -> None:
    more = tmp_path / "more.toml"
    more.write_text("[[try]]\nlr = 7\n")
    line = run("search", "--study", "toy", "--data", csv, "--enqueue", more).failed(2)
    assert "more.toml:2: [[try]]: lr must be between" in line
    toy.write_text(toy.read_text() + more.read_text())
    assert "studies/toy.toml:16: [[try]]: lr must be between" in run("search", "--study", "toy").failed(2)
    assert nothing_begun(root)


def test_an_unknown_architecture_is_misuse_with_file_and_line(run: Run, toy: Path, csv: Path, root: Path) -> None:
    toy.write_text(toy.read_text().replace("resnet9s", "resnet8s"))
    line = run("search", "--study", "toy", "--data", csv).failed(2)
    number = toy.read_text().splitlines().index('arch = "resnet8s"') + 1
    assert f"studies/toy.toml:{number}: an architecture must be a known one, got 'resnet8s'" in line
    assert nothing_begun(root)


def test_another_data_set_under_an_existing_name_is_refused_and_nothing_is_lost(
    run: Run, searched: Callable[[], object], tmp_path: Path
) -> None:
    before = searched()
    usages = ["Training"] * 20 + ["PublicTest"] * 4 + ["PrivateTest"] * 4
    other = write_csv(tmp_path / "other.csv", (row((0, 3)[i % 2], u, seed=500 + i) for i, u in enumerate(usages)))
    line = run("search", "--study", "toy", "--data", other, "--trials", 9).failed(1)
    assert "a study keeps its data: 'toy' was begun with" in line
    assert "copy the study file to a new name" in line
    assert searched() == before


def test_a_study_file_changed_too_much_is_refused_and_nothing_is_lost(
    run: Run, searched: Callable[[], object], toy: Path
) -> None:
    before = searched()
    toy.write_text(toy.read_text().replace("epochs = 3", "epochs = 5"))
    assert "toy.toml:4: a study keeps its epochs" in run("search", "--study", "toy", "--trials", 9).failed(2)
    assert searched() == before


def test_a_damaged_database_is_refused_and_left_as_it_is(run: Run, searched: Callable[[], object], root: Path) -> None:
    path = root / "toy" / "study.db"
    path.write_bytes(b"damaged" * 3000)
    assert "study.db" in run("search", "--study", "toy", "--data", DATA, "--trials", 9).failed(1)
    assert path.read_bytes() == b"damaged" * 3000


def test_prior_knowledge_of_a_study_that_is_not_there_or_does_not_fit_is_refused(
    run: Run, searched: Callable[[], object], toy: Path, csv: Path, root: Path
) -> None:
    other = toy.with_name("other.toml")
    other.write_text(toy.read_text().replace("epochs = 3", "epochs = 5"))
    words = ("search", "--study", "other", "--data", csv, "--from-study")
    assert "a study must exist in studies, got 'tay'; did you mean 'toy'?" in run(*words, "tay").failed(1)
    assert "its trials have 3 epochs, and this study's 5" in run(*words, "toy").failed(2)
    assert not (root / "other" / "study.db").exists()


def test_a_second_search_of_a_study_is_refused(
    run: Run, searched: Callable[[], object], toy: Path, csv: Path, root: Path
) -> None:
    prepared = open_data(read_spec(toy), root / ".cache", given=csv)
    with open_writer(read_spec(toy), root, prepared):  # pyright: ignore[reportArgumentType]
        assert "one search at a time" in run("search", "--study", "toy", "--trials", 9).failed(1)


def test_with_the_total_reached_it_says_so_and_is_done(run: Run, searched: Callable[[], object]) -> None:
    ran = run("search", "--study", "toy", "--trials", 4, "--format", "json")
    assert ran.code == 0
    assert ran.json["n_trials"] == 4
    assert ran.err.splitlines()[-1] == "the study has its 4 trials already; a larger --trials goes on"


def test_the_total_is_the_study_files_where_none_is_given(run: Run, searched: Callable[[], object]) -> None:
    ran = run("search", "--study", "toy")
    assert ran.code == 0
    assert "the study has its 4 trials already" in ran.err
    assert ran.out.splitlines()[0].split()[:3] == ["trial", "state", "accuracy"]


def test_data_moved_elsewhere_are_taken_and_remembered(
    run: Run, searched: Callable[[], object], csv: Path, tmp_path: Path, root: Path
) -> None:
    moved = csv.rename(tmp_path / "moved.csv")
    assert "fer2013.csv: there is no such file" in run("search", "--study", "toy").failed(1)
    assert run("search", "--study", "toy", "--data", moved).code == 0
    assert run("search", "--study", "toy").code == 0
    assert Study.open(root, "toy").data["path"] == str(moved)


def test_a_study_once_searched_is_meant_when_none_is_named(run: Run, searched: Callable[[], object]) -> None:
    assert run("search", "--study", "toy").code == 0
    assert run("search", "--format", "json").json["name"] == "toy"


def test_a_study_without_a_usable_trial_is_a_failure(run: Run, toy: Path, csv: Path, root: Path) -> None:
    prepared = open_data(read_spec(toy), root / ".cache", given=csv)
    with open_writer(read_spec(toy), root, prepared) as writer:  # pyright: ignore[reportArgumentType]
        for _ in range(2):
            number, _, _ = writer.ask(lambda config, _: config)
            writer.finish(number, "FAIL", None, {"error": "x"})
    ran = run("search", "--study", "toy", "--trials", 2)
    assert ran.code == 1
    assert "a search needs a trial that works, and none did; see" in ran.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("done", "new", "why", "text"),
    [
        (9, 0, "", "the study has its 9 trials already; a larger --trials goes on"),
        (9, 0, "exhausted", "the study has its 9 trials already; a grid with more points goes on"),
        (9, 2, "", "9 of 9 trials done"),
        (4, 2, "", "4 of 9 trials done; the same command goes on"),
        (4, 2, "spent", "4 of 9 trials done; a larger limit goes on"),
        (4, 2, "flat", "4 of 9 trials done; a smaller --stop-when-flat goes on"),
    ],
)
def test_the_last_line_says_how_to_go_on(done: int, new: int, why: str, text: str) -> None:
    ended = {"spent": False, "flat": False, "exhausted": False} | ({why: True} if why else {})
    outcome = Outcome(study=None, done=done, trials=9, interrupted=False, gave_up=False, new=new, **ended)  # pyright: ignore[reportArgumentType]
    assert closing(outcome) == text


def test_what_is_refused_leaves_no_folder_and_is_not_the_study_last_used(
    run: Run, toy: Path, csv: Path, root: Path
) -> None:
    more = csv.with_name("more.toml")
    more.write_text("[[try]]\nlr = 7\n")
    for words in (["--data", "none.csv"], ["--data", csv, "--enqueue", more], ["--data", csv, "--from-study", "none"]):
        assert run("search", "--study", "toy", *words).code
    toy.write_text(toy.read_text().replace("resnet9s", "resnet8s"))
    assert run("search", "--study", "toy", "--data", csv).code
    assert not (root / "toy").exists()
    assert not (root / ".last").exists()
