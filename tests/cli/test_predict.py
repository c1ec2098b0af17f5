"""`ferhpo predict`: which ensemble it takes, what it refuses, and the whole way from a search to a label."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ferhpo import _layout
from ferhpo.cli import predict as command
from ferhpo.cli.predict import row
from ferhpo.ensemble import infer
from ferhpo.search.budget import Limits
from ferhpo.search.job import Job, train_trial
from ferhpo.search.session import Session
from ferhpo.search.work import TrialWork
from ferhpo.space.spec import parse_spec
from ferhpo.study.source import open_data
from ferhpo.study.study import Study
from tests.cli.conftest import Run
from tests.cli.test_train import TINY
from tests.conftest import open_writer
from tests.export.conftest import write


def test_an_ensemble_that_is_not_there_is_one_line(run: Run) -> None:
    assert "there is no ensemble in nowhere" in run("predict", "a.png", "--ensemble", "nowhere").failed(1)


def test_an_ensemble_and_a_study_are_one_too_many(run: Run) -> None:
    line = run("predict", "a.png", "--ensemble", "here", "--study", "there").failed(2)
    assert "one ensemble, got --ensemble here and --study there; leave one out" in line


def test_a_folder_that_is_no_ensemble_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = run("predict", "a.png", "--ensemble", "empty")
    assert "an ensemble must be a folder with ensemble.json, got empty" in ran.failed(1)
    assert ran.err.splitlines()[0] == "ensemble: empty"


def test_a_damaged_ensemble_is_one_line(study: Callable[..., Study], run: Run, root: Path) -> None:
    study(4)
    assert run("ensemble", "--study", "toy", "--top", 2).code == 0
    index = root / "toy" / "ensemble" / "ensemble.json"
    index.write_text(index.read_text().replace('"seed": ', '"seed": 1'))
    assert "ensemble.json must have the checksum it was written with" in run("predict", "a.png").failed(1)


def test_a_result_has_the_promised_keys() -> None:
    found = row(Path("a.png"), ("angry", "happy"), np.array([0.25, 0.75]))
    assert found == {"path": "a.png", "label": "happy", "probabilities": {"angry": 0.25, "happy": 0.75}}


class FakeEnsemble:
    """Says class b of every picture, the surer the brighter it is."""

    classes = ("a", "b")
    preprocessing = MappingProxyType({"stored_size": 4, "channels": 1})

    @classmethod
    def load(cls, folder: Path, device: str) -> "FakeEnsemble":
        assert device == "cpu", "which takes one picture faster"
        return cls()

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        sure = 0.5 + images.mean((1, 2, 3)) / 512
        return np.stack([1 - sure, sure], 1)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of seven pictures, of which two cannot be read, taken three at a time by a fake ensemble."""
    monkeypatch.setattr(infer, "Ensemble", FakeEnsemble)
    monkeypatch.setattr(command, "BATCH", 3)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(7):
        Image.new("L", (9, 9), 30 * i).save(folder / f"{i}.png")
    (folder / "2.png").write_bytes(b"no picture")
    (folder / "5.png").write_bytes(b"")
    return folder


def test_what_cannot_be_read_is_named_and_the_rest_is_answered(run: Run, pictures: Path) -> None:
    ran = run("predict", "pictures", "--ensemble", ".", "--format", "json")
    assert ran.code == 1
    assert [Path(found["path"]).stem for found in ran.json] == ["0", "1", "3", "4", "6"]
    assert ran.json[4]["probabilities"]["b"] == pytest.approx(0.5 + 180 / 512)
    bad = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert ["2.png" in bad[0], "5.png" in bad[1], len(bad)] == [True, True, 2]


def test_a_device_that_is_none_is_refused(run: Run, pictures: Path) -> None:
    assert "--device must be cpu, cuda or cuda:N, got 'tpu'" in run(
        "predict", "pictures", "--ensemble", ".", "--device", "tpu"
    ).failed(2)


def test_csv_has_a_line_a_picture(run: Run, pictures: Path) -> None:
    (pictures / "2.png").unlink()
    (pictures / "5.png").unlink()
    ran = run("predict", "pictures", "pictures/0.png", "--ensemble", ".", "--format", "csv")
    assert ran.code == 0, ran.err
    lines = [line.split(",") for line in ran.out.splitlines()]
    assert lines[0] == ["path", "label", "a", "b"]
    assert [Path(line[0]).stem for line in lines[1:]] == ["0", "1", "3", "4", "6", "0"]
    assert {line[1] for line in lines[2:6]} == {"b"}
    assert float(lines[2][3]) == 0.5 + 30 / 512


def test_a_table_of_many_classes_shows_the_most_probable(
    run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tuple(f"c{i}" for i in range(13))
    monkeypatch.setattr(FakeEnsemble, "classes", names)
    monkeypatch.setattr(FakeEnsemble, "probabilities", lambda _, images: np.tile(np.arange(13) / 78, (len(images), 1)))
    ran = run("predict", "pictures/0.png", "--ensemble", ".")
    assert "c12 0.1538, c11 0.141, c10 0.1282, c9 0.1154, c8 0.1026" in ran.out
    assert "c7" not in ran.out
    assert run("predict", "pictures/0.png", "--ensemble", ".", "--format", "csv").out.startswith(
        ",".join(("path,label", *names))
    )


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_name_that_is_no_text_is_printed_all_the_same(run: Run, pictures: Path, form: str) -> None:
    picture = pictures / os.fsdecode(b"m\xfcde.png")
    (pictures / "0.png").rename(picture)
    ran = run("predict", picture, "--ensemble", ".", "--format", form)
    assert ran.code == 0, ran.err
    assert "m\\udcfcde.png" in ran.out


def test_csv_is_printed_as_it_comes(run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: FakeEnsemble, images: np.ndarray, known: Any = FakeEnsemble.probabilities) -> np.ndarray:
        if images.max() > 60:
            raise KeyboardInterrupt
        return known(self, images)

    monkeypatch.setattr(FakeEnsemble, "probabilities", interrupted)
    ran = run("predict", "pictures", "--ensemble", ".", "--format", "csv")
    assert ran.code == 130
    assert len(ran.out.splitlines()) == 3


def test_a_bar_is_drawn_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with command.progress(10 * command.BATCH) as advance:
        advance(5)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with command.progress(10 * command.BATCH) as advance:
        advance(5)
    out, err = capsys.readouterr()
    assert (out, "images" in err) == ("", True)


def test_a_prediction_imports_torch_and_nothing_else_that_is_slow(tmp_path: Path, pictures: Path) -> None:
    folder = write(tmp_path / "ensemble")
    slow = {"timm", "torchvision", "sklearn", "scipy", "optuna", "pandas", "ray", "plotly", "pyarrow", "onnx", "sympy"}
    program = (
        "import sys\nfrom ferhpo.cli.main import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        f"print(sorted({slow!r} & sys.modules.keys()), 'torch' in sys.modules)"
    )
    words = [sys.executable, "-c", program, "predict", str(pictures / "0.png"), "--ensemble", str(folder)]
    ran = subprocess.run(words, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[] True"


def search_for_real(root: Path, trials: int) -> None:
    """Train a few nets on a few rendered faces: what a search does, without Ray."""
    spec = parse_spec(TINY, name="tiny")
    prepared = open_data(spec, root / ".cache")
    with open_writer(spec, root, prepared) as writer:  # pyright: ignore[reportArgumentType]
        val = prepared.part("val")
        writer.keep_validation(val.labels, val.groups)
        session = Session(writer, Limits(trials=trials), emit=lambda _: None)
        provenance = {"fingerprint": prepared.fingerprint, "split": prepared.split_digest, "versions": {}}
        given = partial(Job, study=writer.folder, data=prepared.folder, metric="accuracy", threads=1, device="cpu")
        while not session.over:
            assignment = session.next_trial()
            assert assignment is not None
            job = given(provenance=provenance)
            work = TrialWork(assignment.number, assignment.config, assignment.epoch, job, train_trial)
            while session.epoch(assignment.number, work.next()):
                pass


@pytest.mark.slow  # trains three nets
def test_from_a_search_over_an_ensemble_to_labels(
    run: Run, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    missing = run("predict", "a.png", "c.png", "--ensemble", moved, "--format", "json")
    assert (missing.code, "c.png: there is no such image" in missing.err) == (1, True)
    alone, beside = missing.json[0], ran.json[0]  # one image goes through other kernels than two: a rounding apart
    assert (alone["path"], alone["label"]) == (beside["path"], beside["label"])
    assert alone["probabilities"] == pytest.approx(beside["probabilities"], abs=1e-4)
    shutil.rmtree(root)  # images, study and database
    monkeypatch.chdir("/")
    words = ("predict", tmp_path / "a.png", tmp_path / "b.jpg", "--ensemble", moved, "--format", "json")
    assert [found["probabilities"] for found in run(*words).json] == [found["probabilities"] for found in ran.json]
    monkeypatch.chdir(tmp_path)
    weights = next(Path(moved).rglob(_layout.WEIGHTS))
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    assert "must have the checksum it was written with" in run("predict", "a.png", "--ensemble", moved).failed(1)


def test_weights_that_no_net_can_take_are_one_line(study: Callable[..., Study], run: Run, tmp_path: Path) -> None:
    study(4, name="toy")
    assert run("ensemble", "--study", "toy", "--top", 2).code == 0
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(tmp_path / "a.png")
    assert "ferhpo itself failed" not in run("predict", "a.png").failed(1)
