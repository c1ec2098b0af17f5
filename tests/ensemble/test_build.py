import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ferhpo import __version__
from ferhpo._layout import WEIGHTS
from ferhpo.data.splits import DROPPED, TEST
from ferhpo.ensemble import artifact, card, infer
from ferhpo.ensemble.build import build, recounted
from ferhpo.ensemble.evaluate import METHODS
from ferhpo.errors import CheckpointError, DataError, UsageError
from ferhpo.scoring import scored

FIGURES = {"accuracy", "balanced_accuracy", "macro_f1", "nll", "ece", "ci95"}


@pytest.fixture
def study(fake: Any, made: Any) -> Any:
    return fake(*made(4, 90))


class Sealed:
    """Stands for `Prepared`: says when its test split is opened."""

    fingerprint = "f00d"
    counts = {"test": {"class0": 50}}  # noqa: RUF012 - a stand-in

    def __init__(self, study: Any, y: np.ndarray) -> None:
        self.study, self.y = study, y
        self.images = np.arange(len(y) + 1, dtype=np.uint8).reshape(-1, 1, 1, 1)
        self.images[-1] = 3  # a training image that was dropped, since it is test row 3
        self.split = np.append(np.full(len(y), TEST), DROPPED)

    def open_test(self) -> Any:
        assert self.study.openings, "opened before it was recorded"
        rows = np.arange(len(self.y))
        return SimpleNamespace(images=self.images, rows=rows, labels=self.y, groups=rows // 5)  # people of 5 images


@pytest.fixture
def sealed(study: Any, made: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    probs, y = made(4, 50, seed=9)
    by_folder = {trial.checkpoint: p for trial, p in zip(study.trials, probs, strict=True)}
    monkeypatch.setattr(infer, "member_probabilities", lambda folders, *_: np.stack([by_folder[f] for f in folders]))
    return Sealed(study, y)


@pytest.mark.parametrize("method", ["auto", "majority", "logistic"])
def test_the_report_has_the_keys_that_programs_read(study: Any, method: str) -> None:
    report = build(study, top=4, method=method, command="ferhpo ensemble").to_json()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["method"] == method or method == "auto"
    assert report["n_val"] == 90
    assert set(report["candidates"]) == set(METHODS)
    assert report["val"] == report["candidates"][report["method"]]
    for found in (report["val"], report["best_single"]["val"], *report["candidates"].values()):
        assert set(found) == FIGURES
    assert report["test"] is report["n_test"] is report["mcnemar_p"] is report["best_single"]["test"] is None
    assert report["best_single"]["number"] == 1
    assert sum(m["weight"] for m in report["members"]) == pytest.approx(1)
    assert all(m["weight"] > 0 for m in report["members"])


def test_the_artifact_holds_the_report_but_no_path(study: Any) -> None:
    report = build(study, top=4, method="greedy", command="ferhpo ensemble --top 4")
    stored = artifact.read(report.folder)
    assert report.folder == study.folder / "ensemble"
    assert stored.report == {k: v for k, v in report.to_json().items() if k != "folder"}
    assert stored.provenance["command"] == "ferhpo ensemble --top 4"
    assert stored.provenance["ferhpo"] == __version__
    assert stored.numbers == report.numbers
    assert stored.combination.weights_m.tolist() == list(report.weights)


def test_a_member_of_weight_zero_is_left_out(fake: Any, made: Any) -> None:
    probs, y = made(2, 200)
    study = fake(np.concatenate([probs, 1 / 7 * np.ones((1, 200, 7))]), y)
    report = build(study, top=3, method="weighted", command="")
    assert report.numbers == (1, 4)
    assert len(artifact.read(report.folder).folders) == 2


def test_the_same_study_gives_the_same_report(study: Any) -> None:
    assert build(study, top=2, command="").to_json() == build(study, top=2, command="").to_json()


def test_auto_takes_the_simplest_of_equal_members(fake: Any, made: Any) -> None:
    probs, y = made(1, 90)
    assert build(fake(np.tile(probs, (3, 1, 1)), y), top=3, command="").method == "uniform"


def test_an_unknown_method_gets_a_hint(study: Any) -> None:
    with pytest.raises(UsageError, match="did you mean 'greedy'"):
        build(study, top=3, method="gredy", command="")


@pytest.mark.parametrize("method", ["uniform", "greedy", "logistic"])
def test_opening_the_test_split_scores_ensemble_and_best_single(
    study: Any, sealed: Any, made: Any, method: str
) -> None:
    report = build(study, top=4, method=method, data=sealed, open_test=True, command="ferhpo ensemble --test")
    found = report.to_json()
    (probs, y), groups = made(4, 50, seed=9), sealed.open_test().groups
    assert study.openings == [{"command": "ferhpo ensemble --test", "version": __version__}]
    assert found["test_openings"] == 1
    assert found["n_test"] == 50
    assert found["without_copies"]["n"] == 49, "the one image that has a copy, not everybody in its group"
    assert found["best_single"]["test"] == scored(probs[0], y, groups)
    combination = artifact.read(report.folder).combination
    kept = [n // 3 for n in report.numbers]
    assert found["test"] == scored(combination.predict(probs[kept]), y, groups)
    assert 0 <= found["mcnemar_p"] <= 1
    assert artifact.read(report.folder).report["test"] == found["test"]


def test_data_alone_opens_nothing(study: Any, sealed: Any) -> None:
    report = build(study, top=4, data=sealed, command="")
    assert report.test is None
    assert study.openings == []


def test_later_reports_say_how_often_it_was_opened(study: Any, sealed: Any) -> None:
    for _ in range(2):
        build(study, top=4, data=sealed, open_test=True, command="")
    later = build(study, top=4, command="").to_json()
    assert later["test_openings"] == 2
    assert later["test"] is None


def test_an_opening_through_other_data_is_counted_in_what_is_stored(study: Any) -> None:
    report = build(study, top=4, command="")
    assert recounted(study, report) == report
    study.record_opening("ferhpo ensemble --test --on x", "0")
    assert recounted(study, report).test_openings == 1
    stored = artifact.read(report.folder)
    assert stored.report["test_openings"] == 1
    text = (report.folder / artifact.MODEL_CARD).read_text()
    assert text == card.render(stored, stored.cards())
    assert "It was opened 1 times so far." in text


def test_what_cannot_be_opened_is_not_recorded(study: Any, sealed: Any) -> None:
    with pytest.raises(UsageError, match="name them with --data"):
        build(study, top=4, open_test=True, command="")
    sealed.counts = {"test": {"class0": 0}}
    with pytest.raises(DataError, match="has none"):
        build(study, top=4, data=sealed, open_test=True, command="")
    sealed.fingerprint = "beef"
    with pytest.raises(DataError, match="another fingerprint"):
        build(study, top=4, data=sealed, open_test=True, command="")
    assert study.openings == []


def test_damaged_weights_leave_study_and_artifact_as_they_were(study: Any, sealed: Any) -> None:
    before = build(study, top=4, method="uniform", command="first")
    (study.trials[2].checkpoint / WEIGHTS).write_bytes(b"other")
    with pytest.raises(CheckpointError, match="trial 7"):
        build(study, top=4, method="uniform", data=sealed, open_test=True, command="second")
    assert study.openings == []
    assert artifact.read(before.folder).provenance["command"] == "first"


def test_making_an_ensemble_needs_neither_torch_nor_scikit_learn_to_be_imported() -> None:
    code = (
        "import sys, ferhpo.ensemble.build, ferhpo.ensemble.infer;"
        "print({'torch', 'ray', 'optuna', 'sklearn', 'timm'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
