"""`ferhpo distill`: from a search over an ensemble to one net that predicts and exports like it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ferhpo import _layout
from ferhpo.study.study import Study
from tests.cli.conftest import Run
from tests.cli.test_predict import search_for_real
from tests.cli.test_train import TINY


def test_without_an_ensemble_the_user_is_told(run: Run) -> None:
    assert "there is no ensemble here; run `ferhpo ensemble`" in run("distill", "--into", "resnet9s").failed(1)


def test_a_student_never_takes_its_teachers_place(study: Callable[..., Study], run: Run, root: Path) -> None:
    study(4)
    assert run("ensemble", "--study", "toy", "--top", 2).code == 0
    teacher = root / "toy" / "ensemble"
    member = next(teacher.rglob(_layout.CARD)).parent
    for words in (["--ensemble", teacher, "--out", member], ["--ensemble", member, "--study", "toy", "--out", member]):
        line = run("distill", "--into", "vgg8", *words).failed(2)
        assert f"a student needs a folder apart from its teacher's, got {member}; name another with --out" in line


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("arch=vgg8", "--into names the student's net, got arch in --set beside resnet9s"),
        ("distill=0", "a student learns from its teacher, got distill=0"),
    ],
)
def test_what_makes_it_no_student_is_refused(study: Callable[..., Study], run: Run, word: str, message: str) -> None:
    study(4)
    assert run("ensemble", "--study", "toy", "--top", 2).code == 0
    assert message in run("distill", "--into", "resnet9s", "--set", word).failed(2)


@pytest.mark.slow  # trains three nets, and a fourth
def test_a_student_is_set_beside_its_ensemble_and_predicts_like_one(run: Run, root: Path, tmp_path: Path) -> None:
    search_for_real(root, 2)
    (root / "tiny.toml").write_text(TINY)
    assert run("ensemble", "--study", "tiny", "--top", 2, "--method", "uniform").code == 0
    wrong = run("distill", "--into", "resnet99").failed(2)
    assert "did you mean 'resnet9'" in wrong
    ran = run("distill", "--into", "vgg8", "--set", "distill=0.7", "--epochs", 1, "--test", "--format", "json")
    assert ran.code == 0, ran.err
    assert ran.json["val"].keys() == {"student", "ensemble", "best_single"}
    assert ran.json["test"].keys() == {"student", "ensemble", "rows", "openings"}
    assert ran.json["parameters"]["student"] < ran.json["parameters"]["ensemble"]
    assert ran.json["latency_ms"]["student"] > 0
    assert len(Study.open(root, "tiny").openings) == 1
    student = root / "tiny" / "student"
    assert ran.json["checkpoint"] == str(student)
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(tmp_path / "a.png")
    assert run("predict", "a.png", "--ensemble", student, "--format", "json").json[0]["label"]
    assert run("export", "--card", "--ensemble", student).out.startswith("# Model card: study tiny")
    table = run("distill", "--into", "vgg8", "--epochs", 1).out
    assert "% of the accuracy is kept" in table
    assert "test, opened" not in table
