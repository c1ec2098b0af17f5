"""`ferhpo predict`: which ensemble it takes, what it refuses, and the whole way from a search to a label."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ferhpo import _layout
from ferhpo.cli.options import remember_ensemble
from ferhpo.cli.predict import find_ensemble, row
from ferhpo.errors import StudyError
from ferhpo.search.job import Job, train_trial
from ferhpo.search.session import Limits, Session
from ferhpo.search.work import TrialWork
from ferhpo.space.spec import parse_spec
from ferhpo.study.source import open_data
from ferhpo.study.study import Study
from tests.cli.conftest import Run
from tests.cli.test_train import TINY
from tests.conftest import open_writer


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
    with pytest.raises(StudyError, match="there is none here; run `ferhpo ensemble` first or give --ensemble"):
        find_ensemble(None, None, root)
    with pytest.raises(StudyError, match=r"there is none in .*toy/ensemble"):
        find_ensemble(None, "toy", root)


def test_an_ensemble_that_is_not_there_is_one_line(run: Run) -> None:
    assert "predict needs an ensemble, and there is none in nowhere" in run(
        "predict", "a.png", "--ensemble", "nowhere"
    ).failed(1)


def test_a_folder_that_is_no_ensemble_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = run("predict", "a.png", "--ensemble", "empty")
    assert "an ensemble must be a folder with ensemble.json, got empty" in ran.failed(1)
    assert ran.err.splitlines()[0] == "ensemble: empty"


def test_a_damaged_ensemble_is_one_line(study: Callable[..., Study], run: Run, root: Path) -> None:
    study(4)
    assert run("ensemble", "--study", "toy", "--top", 2).code == 0
    index = root / "toy" / "ensemble" / "ensemble.json"
    index.write_text(index.read_text().replace('"weight": ', '"weight": 1'))
    assert "ensemble.json must have the checksum it was written with" in run("predict", "a.png").failed(1)


def test_a_result_has_the_promised_keys() -> None:
    found = row(Path("a.png"), ("angry", "happy"), np.array([0.25, 0.75]))
    assert found == {"path": "a.png", "label": "happy", "probabilities": {"angry": 0.25, "happy": 0.75}}


def search_for_real(root: Path, trials: int) -> None:
    """Train a few nets on a few rendered faces: what a search does, without Ray."""
    spec = parse_spec(TINY, name="tiny")
    prepared = open_data(spec, root / ".cache")
    with open_writer(spec, root, prepared) as writer:  # pyright: ignore[reportArgumentType]
        val = prepared.part("val")
        writer.keep_validation(val.labels, val.groups)
        session = Session(writer, Limits(trials=trials), emit=lambda _: None)
        provenance = {"fingerprint": prepared.fingerprint, "versions": {}}
        given = partial(Job, study=writer.folder, data=prepared.folder, metric="accuracy", threads=1, device="cpu")
        while not session.over:
            assignment = session.next_trial()
            assert assignment is not None
            job = given(provenance=provenance)
            work = TrialWork(assignment.number, assignment.config, assignment.epoch, job, train_trial)
            while session.epoch(assignment.number, work.next()):
                pass


@pytest.mark.slow  # trains three nets
def test_from_a_search_over_an_ensemble_to_labels(run: Run, root: Path, tmp_path: Path) -> None:
    search_for_real(root, 3)
    (root / "tiny.toml").write_text(TINY)
    made = run("ensemble", "--study", "tiny", "--top", 2, "--method", "uniform", "--test", "--format", "json")
    assert made.code == 0, made.err
    assert made.json["test"].keys() == made.json["val"].keys() == made.json["best_single"]["test"].keys()
    assert len(Study.open(root, "tiny").openings) == 1
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg"):
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(tmp_path / name)
    ran = run("predict", "a.png", "b.jpg", "--format", "json")
    assert ran.code == 0, ran.err
    assert ran.err.splitlines()[0] == f"ensemble: {root / 'tiny' / 'ensemble'}"
    assert [found["path"] for found in ran.json] == ["a.png", "b.jpg"]
    for found in ran.json:
        assert sum(found["probabilities"].values()) == pytest.approx(1)
        assert found["label"] == max(found["probabilities"], key=found["probabilities"].get)
    table = run("predict", "a.png").out.splitlines()
    assert table[1].split()[:2] == ["a.png", ran.json[0]["label"]]
    moved = shutil.move(root / "tiny" / "ensemble", tmp_path / "moved")
    assert run("predict", "a.png", "b.jpg", "--ensemble", moved, "--format", "json").out == ran.out
    assert "c.png: there is no such image" in run("predict", "a.png", "c.png", "--ensemble", moved).failed(1)
    weights = next(Path(moved).rglob(_layout.WEIGHTS))
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    assert "must have the checksum it was written with" in run("predict", "a.png", "--ensemble", moved).failed(1)


def test_weights_that_no_net_can_take_are_one_line(study: Callable[..., Study], run: Run, tmp_path: Path) -> None:
    study(4, name="toy")
    assert run("ensemble", "--study", "toy", "--top", 2).code == 0
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(tmp_path / "a.png")
    assert "ferhpo itself failed" not in run("predict", "a.png").failed(1)
