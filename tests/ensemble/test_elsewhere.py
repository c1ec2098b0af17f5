"""Trained on one set, tested on another: labels by name, common classes, nothing that was seen, all recorded."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ferhpo.data.cache import Prepared
from ferhpo.data.splits import TEST, TRAIN
from ferhpo.ensemble import elsewhere
from ferhpo.ensemble.elsewhere import common_classes, evaluate_elsewhere
from ferhpo.errors import DataError
from ferhpo.study.study import Study
from tests.training.conftest import made_up

HERE = ("angry", "happy", "neutral")


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Path]:
    """Stand in for this folder's fixture of the same name, which `study` does not mean."""
    return {"": tmp_path / "made"}


@pytest.fixture
def own(tmp_path: Path) -> Prepared:
    data = made_up(tmp_path / "own", train=9, val=3)
    return replace(data, classes=HERE)


@pytest.fixture
def other(tmp_path: Path) -> Prepared:
    """Twelve test rows of happy, contempt and angry in turn, none of them the study's."""
    data = made_up(tmp_path / "other", train=12, val=3)
    images = 255 - np.array(data.images)
    split = np.full(15, TRAIN, np.int8)
    split[:12] = TEST
    return replace(data, classes=("happy", "contempt", "angry"), images=images, split=split, fingerprint="0" * 64)


@pytest.fixture
def opened(study: Callable[..., Study], own: Prepared, monkeypatch: pytest.MonkeyPatch) -> tuple[Study, Any]:
    """Return a study whose best trial always says angry, and whose ensemble says happy where the top row is dark."""
    found = study(6)
    best = found.candidates()[0].number

    def ensemble(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        dark_n = images[rows][:, 0].mean((1, 2)) < 128
        probs = np.where(dark_n[:, None], [0.1, 0.3, 0.6], [0.3, 0.1, 0.6])
        return probs[None]

    loaded = SimpleNamespace(member_probabilities=ensemble, combination=SimpleNamespace(predict=lambda p: p[0]))
    monkeypatch.setattr(elsewhere, "Ensemble", SimpleNamespace(load=lambda *_: loaded))
    said = lambda _f, part, *_: np.tile([0.5, 0.2, 0.3], (1, len(part.rows), 1))  # noqa: E731
    monkeypatch.setattr(elsewhere, "member_probabilities", said)
    return found, SimpleNamespace(folder=found.folder, best_number=best)


def test_labels_are_mapped_by_name_over_the_common_classes(opened: Any, own: Prepared, other: Prepared) -> None:
    study, report = opened
    found = evaluate_elsewhere(study, report, own, other, "ferhpo ensemble --test --on x", tta="own")
    assert found.classes == ("angry", "happy")
    assert (found.n, found.other_classes, found.seen) == (8, 4, 0)
    assert found.ensemble["accuracy"] == 1, "neutral, which it would say everywhere, is no class of the other set"
    assert found.best_single["accuracy"] == 0.5
    assert np.array(found.ensemble["confusion"]).tolist() == [[4, 0], [0, 4]]


def test_classes_of_the_other_set_may_be_called_by_an_alias(opened: Any, own: Prepared, other: Prepared) -> None:
    plain = replace(other, classes=("happiness", "bored", "anger"))  # bored is no expression
    found = evaluate_elsewhere(opened[0], opened[1], own, plain, "x", tta="own")
    assert found.classes == ("angry", "happy")
    assert (found.n, found.other_classes, found.ensemble["accuracy"]) == (8, 4, 1)


def test_the_study_records_the_opening_first_and_then_the_figures(
    opened: Any, own: Prepared, other: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, report = opened
    monkeypatch.setattr(elsewhere, "mcnemar", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate_elsewhere(study, report, own, other, "first", tta="own")
    assert [(e["command"], "n" in e) for e in study.elsewhere] == [("first", False)]
    monkeypatch.undo()
    assert study.openings == [], "the study's own test split stays sealed"


def test_figures_stand_in_the_study(opened: Any, own: Prepared, other: Prepared) -> None:
    study, report = opened
    for command in ("one", "two"):
        evaluate_elsewhere(study, report, own, other, command, tta="own")
    assert [(e["command"], e["n"], e["fingerprint"]) for e in study.elsewhere] == [
        ("one", 8, "0" * 64),
        ("two", 8, "0" * 64),
    ]


def test_rows_whose_image_the_study_has_seen_are_left_out(opened: Any, own: Prepared, other: Prepared) -> None:
    images = np.array(other.images)
    images[0] = own.images[2]
    found = evaluate_elsewhere(opened[0], opened[1], own, replace(other, images=images), "x", tta="own")
    assert (found.n, found.seen) == (7, 1)
    images[:12] = own.images[:12]
    with pytest.raises(
        DataError, match="--on needs test rows that the study has not seen, got 4 of other classes and 8"
    ):
        evaluate_elsewhere(opened[0], opened[1], own, replace(other, images=images), "x", tta="own")
    assert len(opened[0].elsewhere) == 1, "a refusal opens nothing"


def test_rows_that_are_the_studys_own_test_images_open_its_test_split(
    opened: Any, own: Prepared, other: Prepared
) -> None:
    split = np.array(own.split)
    split[0] = TEST
    images = np.array(other.images)
    images[0] = own.images[0]
    found = evaluate_elsewhere(
        opened[0], opened[1], replace(own, split=split), replace(other, images=images), "x", tta="own"
    )
    assert (found.n, found.seen, found.sealed) == (8, 0, 1)
    assert [o["command"] for o in opened[0].openings] == ["x"]


def test_without_two_common_classes_it_is_refused(opened: Any, other: Prepared) -> None:
    with pytest.raises(
        DataError, match=r"--on needs data with at least 2 of the study's classes \(angry, happy, neutral\)"
    ):
        common_classes(opened[0], replace(other, classes=("happy", "cat", "dog")))


def test_images_of_another_shape_are_refused(opened: Any, own: Prepared, other: Prepared) -> None:
    with pytest.raises(DataError, match=r"--on needs images kept at 8 pixels with 1 channels, .*, got 4x4x1"):
        evaluate_elsewhere(opened[0], opened[1], own, replace(other, images=other.images[:, :4, :4]), "x", tta="own")
