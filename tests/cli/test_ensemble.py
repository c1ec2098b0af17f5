"""`ferhpo ensemble`: promised keys, every method beside the best single trial, and what it refuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ferhpo import _layout
from ferhpo.cli.ensemble import METHODS
from ferhpo.cli.options import last_ensemble
from ferhpo.ensemble import evaluate
from ferhpo.errors import UsageError
from ferhpo.study.study import Study
from tests.cli.conftest import Ran, Run

Make = Callable[..., Study]
FIGURES = {"accuracy", "balanced_accuracy", "macro_f1", "nll", "ece", "ci95"}


@pytest.fixture
def opened(study: Make) -> Study:
    return study(6)


@pytest.fixture
def ran(opened: Study, run: Run) -> Ran:
    return run("ensemble", "--study", "toy", "--top", 3, "--format", "json")


def test_json_has_the_promised_keys(ran: Ran, opened: Study) -> None:
    assert ran.code == 0, ran.err
    found = ran.json
    best = opened.candidates()[0]
    assert found["method"] in METHODS
    assert all(member.keys() >= {"number", "weight"} for member in found["members"])
    assert {member["number"] for member in found["members"]} <= {t.number for t in opened.candidates()[:3]}
    assert (found["n_val"], found["test"]) == (60, None)
    assert found["val"].keys() >= FIGURES
    assert found["candidates"].keys() == set(METHODS)
    assert all(figures.keys() >= FIGURES for figures in found["candidates"].values())
    assert (found["best_single"]["number"], found["best_single"]["test"]) == (best.number, None)
    assert found["best_single"]["val"].keys() >= FIGURES
    assert found["best_single"].keys() >= {"number", "val", "test"}


@pytest.mark.parametrize(
    ("words", "place"), [((), "cpu"), (("--device", "cuda"), "a GPU"), (("--soup", "--data", "x.csv"), "a GPU")]
)
def test_nets_run_where_the_device_says_and_torch_is_not_asked_where_none_runs(
    opened: Study, run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], place: str
) -> None:
    def build(*_: object, device: str, **__: object) -> None:
        msg = f"nets would run on {device}"
        raise UsageError(msg)

    monkeypatch.setattr("ferhpo.ensemble.build.build", build)
    monkeypatch.setattr("ferhpo.study.source.open_data", lambda *_, **__: None)
    monkeypatch.setattr("ferhpo.cli.ensemble.device_of", lambda _: "a GPU")
    assert f"nets would run on {place}" in run("ensemble", "--study", "toy", *words).failed(2)


def test_the_artifact_is_in_the_studys_folder_and_remembered(ran: Ran, root: Path) -> None:
    assert (root / "toy" / "ensemble" / "ensemble.json").is_file()
    assert last_ensemble(root) == root / "toy" / "ensemble"
    assert "written to studies/toy/ensemble; `ferhpo predict face.png` uses it" in ran.err


def test_nothing_of_the_test_split_is_shown_or_stored_before_it_is_opened(ran: Ran, root: Path, opened: Study) -> None:
    stored = json.loads((root / "toy" / "ensemble" / "ensemble.json").read_text())
    assert stored["report"]["test"] is None
    assert stored["report"]["best_single"]["test"] is None
    assert opened.openings == []


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_can_be_asked_for(opened: Study, run: Run, method: str) -> None:
    found = run("ensemble", "--study", "toy", "--top", 2, "--method", method, "--format", "json").json
    assert found["method"] == method
    assert found["val"] == found["candidates"][method]


def test_the_table_sets_every_method_beside_the_best_single_trial(opened: Study, run: Run) -> None:
    ran = run("ensemble", "--study", "toy", "--top", 3)
    assert ran.code == 0
    assert f"best single (trial {opened.candidates()[0].number})" in ran.out
    assert all(method in ran.out for method in METHODS)
    assert ran.out.count(" * ") == 1
    assert "test split: sealed; --test opens it" in ran.err


def test_the_methods_that_help_names_are_those_there_are_in_their_order() -> None:
    assert tuple(evaluate.METHODS) == METHODS


@pytest.mark.parametrize("top", [1, 0, -1])
def test_a_top_below_two_is_misuse(opened: Study, run: Run, top: int) -> None:
    assert f"--top must be at least 2, got {top}" in run("ensemble", "--study", "toy", "--top", top).failed(2)


def test_a_top_above_the_candidates_is_refused_with_how_many_there_are(opened: Study, run: Run) -> None:
    line = run("ensemble", "--study", "toy", "--top", 7).failed(1)
    assert "--top 7 takes as many trials with a kept checkpoint, study 'toy' has 6; use --top 6 or less" in line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--max-params", 10), "--max-params must leave a member to take, 10 leaves none (1234 is the least of 3)"),
        (("--max-members", 0), "--max-members must be above 0, got 0"),
        (("--tta", "flips"), "--tta must be a known one, got 'flips'; did you mean 'flip'?"),
    ],
)
def test_what_no_ensemble_can_keep_to_is_misuse(opened: Study, run: Run, words: tuple[object, ...], line: str) -> None:
    assert line in run("ensemble", "--study", "toy", "--top", 3, *words).failed(2)


def test_a_limit_is_kept_and_the_front_is_shown(opened: Study, run: Run) -> None:
    ran = run("ensemble", "--study", "toy", "--top", 4, "--method", "uniform", "--max-params", 3000)
    assert ran.code == 0
    assert "uniform (in use)" in ran.out
    assert "by cost: the Pareto front on the validation rows, and the ensemble in use" in ran.out
    assert "2,468" in ran.out  # two of the members' 1,234 parameters
    assert "ms an image" not in ran.out, "nobody measured one"
    found = run("ensemble", "--study", "toy", "--top", 4, "--max-members", 2, "--format", "json").json
    assert len(found["members"]) <= 2
    assert all(point["costs"]["members"] <= 2 for point in found["front"])


def test_notes_and_the_temperature_are_said_on_stderr(opened: Study, run: Run) -> None:
    ran = run("ensemble", "--study", "toy", "--top", 3, "--no-calibrate")
    assert "no temperature: not asked for" in ran.err
    assert "no temperature: 60 validation rows are too few" in run("ensemble", "--study", "toy", "--top", 3).err
    found = run("ensemble", "--study", "toy", "--top", 3, "--method", "majority", "--format", "json")
    assert [f"note: {note}" in found.err for note in found.json["notes"]] == [True] * len(found.json["notes"])


def test_an_unknown_method_is_misuse(opened: Study, run: Run) -> None:
    assert "did you mean 'greedy'" in run("ensemble", "--study", "toy", "--method", "gredy").failed(2)


def test_a_study_that_does_not_exist_is_refused(opened: Study, run: Run) -> None:
    assert "a study must exist in studies, got 'tooy'; did you mean 'toy'?" in run("ensemble", "-s", "tooy").failed(1)


def test_the_test_split_needs_the_data_and_is_not_recorded_without(opened: Study, run: Run) -> None:
    assert "give --data" in run("ensemble", "--study", "toy", "--top", 2, "--test").failed(2)
    assert opened.openings == []


@pytest.mark.parametrize("name", [_layout.PROBABILITIES, _layout.WEIGHTS, _layout.CARD])
def test_a_damaged_checkpoint_is_named_and_the_older_ensemble_stays(
    ran: Ran, opened: Study, run: Run, root: Path, name: str
) -> None:
    before = (root / "toy" / "ensemble" / "ensemble.json").read_bytes()
    best = opened.candidates()[0]
    assert best.checkpoint is not None
    (best.checkpoint / name).write_bytes(b"damaged")
    line = run("ensemble", "--study", "toy", "--top", 3).failed(1)
    assert f"trial {best.number}: " in line
    assert name in line
    assert (root / "toy" / "ensemble" / "ensemble.json").read_bytes() == before


def test_a_trial_whose_checkpoint_was_deleted_is_left_out(opened: Study, run: Run) -> None:
    best = opened.candidates()[0]
    assert best.checkpoint is not None
    shutil.rmtree(best.checkpoint)
    found = run("ensemble", "--study", "toy", "--top", 3, "--format", "json").json
    assert best.number not in [member["number"] for member in found["members"]]


def test_another_data_set_is_opened_only_with_test_and_refused_without_common_classes(
    opened: Study, run: Run, tmp_path: Path
) -> None:
    assert "--on opens the test rows of x.csv; give --test with it" in run("ensemble", "--on", "x.csv").failed(2)
    assert opened.elsewhere == []


def test_an_opening_through_another_data_set_is_counted_beside_its_figure(
    opened: Study, run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = dict.fromkeys(FIGURES, 0.5) | {"ci95": [0.4, 0.6]}
    found = SimpleNamespace(
        source="x.csv",
        n=9,
        classes=("a", "b"),
        other_classes=0,
        seen=0,
        sealed=4,
        mcnemar_p=1.0,
        best_single=figures,
        ensemble=figures,
        to_json=lambda: {"sealed": 4},
    )

    def evaluated(study: Study, *_: object, **__: object) -> object:
        study.record_opening("this", "0")
        return found

    monkeypatch.setattr("ferhpo.search.runner.settled_study", lambda *_: opened)
    monkeypatch.setattr("ferhpo.study.source.open_data", lambda *_, **__: "images")
    monkeypatch.setattr("ferhpo.study.source.open_other", lambda *_: "other images")
    monkeypatch.setattr("ferhpo.ensemble.elsewhere.common_classes", lambda *_: ("a", "b"))
    monkeypatch.setattr("ferhpo.ensemble.elsewhere.evaluate_elsewhere", evaluated)
    words = ("ensemble", "--study", "toy", "--top", 3, "--device", "cpu", "--test", "--on", "x.csv")
    ran = run(*words)
    assert "--test opens it" not in ran.err
    assert "its test split counts as opened, 1 times so far" in ran.err
    assert "It was opened 1 times so far." in (root / "toy" / "ensemble" / "MODEL_CARD.md").read_text()
    assert run(*words, "--format", "json").json["test_openings"] == 2
    assert json.loads((root / "toy" / "ensemble" / "ensemble.json").read_text())["report"]["test_openings"] == 2
