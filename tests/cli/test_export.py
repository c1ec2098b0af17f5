"""`ferhpo export`: what it writes where, and what it refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ferhpo.cli.export import default_target
from ferhpo.ensemble import artifact
from ferhpo.errors import UsageError
from ferhpo.export import int8, onnx
from ferhpo.study.study import Study
from tests.cli.conftest import Run


@pytest.fixture
def ensemble(study: Callable[..., Study], run: Run, root: Path) -> Path:
    study(4)
    assert run("ensemble", "--study", "toy", "--top", 2, "--method", "uniform").code == 0
    return root / "toy" / "ensemble"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return what the exporters, which do nothing, were called with."""
    calls: list[Any] = []

    def made(folder: Path, target: Path, *images: Any) -> onnx.Exported:
        calls.append((folder, target, *images))
        cost = {"rows": 10, "accuracy_int8": 0.5} if images else None
        return onnx.Exported(file=target, bytes=7, members=2, difference=1e-7, int8=cost)

    monkeypatch.setattr(onnx, "export", made)
    monkeypatch.setattr(int8, "export", made)
    return calls


def test_a_graph_lies_beside_the_ensemble_or_where_it_is_wanted(run: Run, ensemble: Path, asked: list[Any]) -> None:
    assert run("export", "--onnx", "--study", "toy").code == 0
    ran = run("export", "--onnx", "here.onnx", "--study", "toy", "--format", "json")
    assert [target for _, target in asked] == [ensemble.parent / "model.onnx", Path("here.onnx")]
    assert ran.json == {"file": "here.onnx", "bytes": 7, "members": 2, "max_difference": 1e-7, "int8": None}


def test_a_students_graph_does_not_take_the_place_of_the_ensembles(ensemble: Path) -> None:
    student = ensemble.with_name("student")
    renamed = ensemble.rename(ensemble.with_name("best"))
    assert default_target(student, "") == ensemble.with_name("student.onnx")
    assert default_target(student, "-int8") == ensemble.with_name("student-int8.onnx")
    assert default_target(renamed, "") == ensemble.with_name("model.onnx")


def test_a_card_that_cannot_be_written_is_misuse(run: Run, ensemble: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = run("export", "--card", "file/card.md").failed(2)
    assert "file/card.md must be a file that can be written" in line


def test_int8_takes_the_studys_images_and_shows_the_cost(
    run: Run, ensemble: Path, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ferhpo.study.source.open_data", lambda spec, cache, **_: spec.name)
    ran = run("export", "--onnx", "--int8", "--ensemble", ensemble)
    assert ran.code == 0, ran.err
    assert asked == [(ensemble, ensemble.parent / "model-int8.onnx", "toy")]
    lines = [line.split() for line in ran.out.splitlines()]
    assert ["int8", "accuracy_int8", "0.5"] in lines
    assert ["float32", "max_difference", "1e-07"] in lines


def test_the_card_is_printed_or_written(run: Run, ensemble: Path, tmp_path: Path) -> None:
    there = (ensemble / artifact.MODEL_CARD).read_text()
    assert run("export", "--card").out == there
    ran = run("export", "--card", "card.md")
    assert (ran.code, ran.out) == (0, "")
    assert (tmp_path / "card.md").read_text() == there


def test_the_card_is_json_for_programs(run: Run, ensemble: Path) -> None:
    text = (ensemble / artifact.MODEL_CARD).read_text()
    assert run("export", "--card", "--format", "json").json == {"file": None, "card": text}
    assert run("export", "--card", "card.md", "--format", "json").json == {"file": "card.md", "card": text}


def test_one_form_has_to_be_chosen(run: Run, ensemble: Path) -> None:
    assert "export writes either --onnx (with --int8 or without) or --card, got neither" in run("export").failed(2)
    assert "got both" in run("export", "--onnx", "--card").failed(2)


def test_what_would_be_ignored_is_refused(run: Run, ensemble: Path, asked: list[Any], tmp_path: Path) -> None:
    assert "--data names the images that --int8 measures" in run("export", "--onnx", "--data", "a.csv").failed(2)
    assert run("export", "--onnx", tmp_path).code == 2
    for form in ("--onnx", "--card"):
        words = ("export", form, "--ensemble", ensemble, "--study", "toy")
        assert "names the images that --int8 measures, got 'toy' without it" in run(*words).failed(2)
    assert asked == []


def test_a_missing_package_is_one_line(run: Run, ensemble: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        msg = "an ONNX export needs onnx"
        raise UsageError(msg)

    monkeypatch.setattr(onnx, "check_installed", missing)
    assert "an ONNX export needs onnx" in run("export", "--onnx").failed(2)
