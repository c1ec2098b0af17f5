"""`ferhpo compare`: one command from study files to a table, and refusals before anything is trained."""

import json
from pathlib import Path

import pytest

from ferhpo.cli import compare as command
from ferhpo.compare import run as runs
from ferhpo.compare.systems import SYSTEMS, Plan
from tests.cli.conftest import Run
from tests.compare.conftest import searches as searches
from tests.compare.conftest import system as system

OUT = Path("studies/compare")


def test_a_system_is_compared_and_the_table_written(
    run: Run, system: Path, searches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs.systems, "plan", lambda *_, **__: Plan(trials=2, seconds=0.6, width=None))
    words = ("compare", "tiny", "--minutes-each", "0.02", "--image-size", 12, "--device", "cpu")
    ran = run(*words, "--format", "json")
    assert ran.code == 0, ran.err
    rows = ran.json
    assert [row["row"] for row in rows] == ["reported", "reproduced", "searched", "ensemble", "ensemble"]
    assert all(row[name] is not None for row in rows[1:] for name in ("val_accuracy", "test_loss", "flops"))
    assert json.loads((OUT / "compare.json").read_text())["rows"] == rows
    page = (OUT / "compare.html").read_text()
    assert "Searched: test rows, by label and answer." in page
    assert "As described: accuracy after each epoch." in page
    assert "reported on fer2013, run on synthetic" in (OUT / "compare.md").read_text()
    again = run(*words)
    assert again.code == 0
    assert len(searches) == 3, "the second run trains nothing"
    assert "Test accuracy" in again.out
    assert "a comparison keeps its scale" in run("compare", "tiny", "--image-size", 12).failed(2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tinny"], "there is no studies/tinny.toml; did you mean 'tiny'"),
        (["tiny", "tiny"], "a comparison takes each system once, got tiny twice"),
        (["tiny", "--minutes-each", "0"], "--minutes-each must be a number above 0"),
        (["tiny", "--image-size", "4"], "--image-size: image_size must be at least 8"),
        (["tiny", "--device", "tpu"], "--device must be cpu, cuda or cuda:N, got 'tpu'"),
    ],
)
def test_misuse_is_refused_before_anything_begins(run: Run, system: Path, words: list[str], message: str) -> None:
    assert message in run("compare", *words).failed(2)
    assert not OUT.exists()


def test_data_that_are_not_there_are_named(run: Run, system: Path) -> None:
    assert "none.csv: there is no such file" in run("compare", "tiny", "--data", "none.csv", "--device", "cpu").failed(
        1
    )


def test_all_known_systems_are_compared_where_none_is_named() -> None:
    assert tuple(spec.name for spec in command.chosen([], OUT)) == SYSTEMS
