"""What is shown of an ensemble is what its file stores, whatever is missing from it."""

import json
from pathlib import Path

import pytest

from ferhpo.report.ensemble_frames import ensemble
from tests.report.made_up_study import write_ensemble


def test_a_study_without_an_ensemble_has_no_tables(tmp_path: Path) -> None:
    assert ensemble(tmp_path) is None


def test_every_stored_figure_is_one_row_per_classifier_and_split(tmp_path: Path) -> None:
    write_ensemble(tmp_path, test=True)
    found = ensemble(tmp_path)
    assert found is not None
    assert (found.method, found.n_val, found.problem) == ("greedy", 120, "")
    assert found.members["weight"].tolist() == [0.75, 0.25]
    rows = found.scores[["name", "kind", "split", "accuracy"]].to_numpy().tolist()
    assert rows == [
        ["best single trial (16)", "single", "val", 0.95],
        ["uniform", "candidate", "val", 0.93],
        ["greedy", "chosen", "val", 0.96],
        ["best single trial (16)", "single", "test", 0.9],
        ["greedy", "chosen", "test", 0.94],
    ]
    assert found.p == 0.03
    assert found.scores["low"].tolist()[0] == pytest.approx(0.9)


def test_a_sealed_test_split_has_no_row(tmp_path: Path) -> None:
    write_ensemble(tmp_path, test=False)
    found = ensemble(tmp_path)
    assert found is not None
    assert set(found.scores["split"]) == {"val"}


def test_figures_may_stand_beside_the_members(tmp_path: Path) -> None:
    write_ensemble(tmp_path, test=False)
    path = tmp_path / "ensemble" / "ensemble.json"
    path.write_text(json.dumps(json.loads(path.read_text())["report"]))
    found = ensemble(tmp_path)
    assert found is not None
    assert found.scores["accuracy"].tolist() == [0.95, 0.93, 0.96]


def test_a_method_that_is_no_candidate_has_its_own_row(tmp_path: Path) -> None:
    write_ensemble(tmp_path, test=False, method="bagged")
    found = ensemble(tmp_path)
    assert found is not None
    assert found.scores[found.scores["kind"] == "chosen"]["name"].tolist() == ["bagged"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"members": 3}', '{"best_single": {"val": {"ci95": 3}}}'])
def test_a_damaged_file_is_a_problem_and_not_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "ensemble").mkdir()
    (tmp_path / "ensemble" / "ensemble.json").write_text(text)
    found = ensemble(tmp_path)
    assert found is not None
    assert "ensemble.json cannot be read" in found.problem
    assert found.scores.empty


def test_a_file_that_says_nothing_is_shown_as_nothing(tmp_path: Path) -> None:
    (tmp_path / "ensemble").mkdir()
    (tmp_path / "ensemble" / "ensemble.json").write_text("{}")
    found = ensemble(tmp_path)
    assert found is not None
    assert (found.method, found.n_val, len(found.members), len(found.scores)) == ("", None, 0, 0)
