from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferhpo.data.cache import Prepared
from ferhpo.ensemble import artifact, infer
from ferhpo.errors import DataError
from ferhpo.export import distill
from ferhpo.metrics import metric
from ferhpo.space.config import TrialConfig
from ferhpo.training.single import train_single
from tests.export.conftest import SIZE, Write
from tests.training.conftest import made_up

QUICK: dict[str, Any] = {"width": 8, "image_size": 8, "batch_size": 16, "lr": 0.02, "dropout": 0.0, "augment": 0.0}
TINY = TrialConfig(**QUICK, ema=0.9, precision="fp32", epochs=40)


@pytest.fixture
def data(tmp_path: Path) -> Prepared:
    return made_up(tmp_path)


def test_a_student_learns_from_its_teacher_alone(
    data: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_single(TINY, data, tmp_path / "teacher", metric=metric("accuracy"))
    wrong = replace(data, labels=np.where(data.split == 0, 0, data.labels))  # labels that teach nothing
    wrong.labels[:3] = [0, 1, 2]
    monkeypatch.setattr(infer, "latency_ms", lambda *_: 1.0)
    config = TINY.with_params({"distill": 1.0, "temperature": 1.0})
    made = distill.distill(tmp_path / "teacher", config, wrong, tmp_path / "student", metric=metric("accuracy"))
    assert made.ensemble["accuracy"] > 0.9
    assert made.student["accuracy"] > 0.8
    said = infer.Ensemble.load(tmp_path / "student").probabilities(data.images[50:])
    assert (said.argmax(1) == data.labels[50:]).mean() == made.student["accuracy"]
    found = made.to_json()
    assert found["accuracy_kept"] == pytest.approx(made.student["accuracy"] / made.ensemble["accuracy"])
    assert found["parameters"]["student"] == found["parameters"]["ensemble"] > 0
    provenance = artifact.read(tmp_path / "student").provenance
    assert provenance["teacher"] == artifact.digest(tmp_path / "teacher")


def test_the_teacher_is_asked_once(write_ensemble: Write, tmp_path: Path) -> None:
    data = made_up(tmp_path, size=SIZE)
    folder = write_ensemble(tmp_path / "ensemble")
    asked: list[tuple[int, int]] = []
    first = distill.taught(folder, data, asked=lambda *n: asked.append(n))
    again = distill.taught(folder, data, asked=lambda *n: asked.append(n))
    assert asked == [(50, 50)]
    assert np.array_equal(first, again)
    assert first.dtype == np.float32
    wanted = infer.Ensemble.load(folder).probabilities(data.images[data.part("train").rows])
    assert np.allclose(first, wanted, atol=1e-6)
    (kept,) = data.folder.parent.glob("teacher-*.npy")
    kept.write_bytes(b"cut off")
    assert np.array_equal(distill.taught(folder, data), first)


def test_images_of_another_study_are_refused(write_ensemble: Write, data: Prepared, tmp_path: Path) -> None:
    folder = write_ensemble(tmp_path / "ensemble", mark="e" * 64)
    config = TINY.with_params({"distill": 1.0})
    with pytest.raises(DataError, match="an ensemble needs the images it was trained on"):
        distill.distill(folder, config, data, tmp_path / "student", metric=metric("accuracy"))
    assert not (tmp_path / "student").exists()


def test_images_that_are_split_in_another_way_are_refused(data: Prepared, tmp_path: Path) -> None:
    train_single(TINY, data, tmp_path / "teacher", metric=metric("accuracy"), provenance={"split": data.split_digest})
    split = np.array(data.split)
    split[0] = 1  # which trained the teacher
    config = TINY.with_params({"distill": 1.0})
    with pytest.raises(DataError, match="member 0 was trained on another split of these images"):
        distill.distill(
            tmp_path / "teacher", config, replace(data, split=split), tmp_path / "student", metric=metric("accuracy")
        )
