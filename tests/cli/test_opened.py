"""What several commands open, and what they say where it is not there."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ferhpo.cli.opened import find_ensemble, opened_test, study_of
from ferhpo.cli.options import remember_ensemble
from ferhpo.errors import StudyError
from ferhpo.study.study import Study


def test_a_given_ensemble_goes_before_the_studys_and_that_before_the_last_one(root: Path) -> None:
    given, own, last = (root / name / "ensemble" for name in ("given", "toy", "last"))
    for folder in (given, own, last):
        folder.mkdir(parents=True)
    remember_ensemble(last, root)
    assert find_ensemble(given, "toy", root) == given
    assert find_ensemble(None, "toy", root) == own
    assert find_ensemble(None, "some/toy.toml", root) == own
    assert find_ensemble(None, None, root) == last


def test_without_an_ensemble_the_user_is_told_how_to_make_one(root: Path) -> None:
    with pytest.raises(StudyError, match="there is no ensemble here; run `ferhpo ensemble`, or give --ensemble"):
        find_ensemble(None, None, root)
    with pytest.raises(StudyError, match=r"there is no ensemble in .*toy/ensemble"):
        find_ensemble(None, "toy", root)


def test_an_ensemble_that_names_no_study_needs_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferhpo.ensemble.artifact.read", lambda _: SimpleNamespace(provenance={}))
    with pytest.raises(StudyError, match=r"the study of .* must be known for its images, .* give --study"):
        study_of(root, None, root, None)


def test_an_opening_of_the_test_split_is_recorded_and_told_before_the_rows_are_read(
    study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ferhpo", "train", "--test"])
    made, recorded = study(1), []
    rows = object()

    def open_test() -> object:
        recorded.append([o["command"] for o in made.openings])
        return rows

    data: Any = SimpleNamespace(open_test=open_test)
    assert opened_test(made, data) == (rows, 1)
    assert opened_test(made, data) == (rows, 2)
    assert recorded == [["ferhpo train --test"], ["ferhpo train --test"] * 2]
    assert "the sealed test split of study 'toy' is opened (now 2 times)" in capsys.readouterr().err
