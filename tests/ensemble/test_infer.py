import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ferhpo._atomic import new_folder
from ferhpo._layout import PROBABILITIES
from ferhpo.ensemble import infer
from ferhpo.ensemble.build import build
from ferhpo.errors import CheckpointError, DataError, UsageError

GREY = {"stored_size": 16, "channels": 1}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(40, 16, 16, 1), dtype=np.uint8)


@pytest.fixture
def study(fake: Any, made: Any, images: np.ndarray) -> Iterator[Any]:
    """A study of three real, untrained nets, their checkpoints written as a training writes them."""
    import torch

    from ferhpo.models import registry
    from ferhpo.space.config import TrialConfig
    from ferhpo.training import checkpoint
    from ferhpo.training.images import Preprocessing
    from ferhpo.training.predict import probabilities

    probs, y = made(3, 30)
    study = fake(probs, y)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of nets this small a second thread makes nothing but noise
    config = TrialConfig(width=4, image_size=16)
    look = Preprocessing(stored_size=16, image_size=16, channels=1, mean=(0.5,), std=(0.25,), mirror=True)
    for trial in study.trials:
        torch.manual_seed(trial.number)
        model = registry.build(config, classes=7, channels=1)
        card = {
            "config": config.params(),
            "classes": study.data["classes"],
            "preprocessing": look.to_json(),
            "epoch": 1,
            "figures": {},
            "parameters": 1,
            "provenance": {"fingerprint": "f00d"},
        }
        with new_folder(trial.checkpoint) as folder:
            probs_nc = probabilities(model, images, look, rows=np.arange(30))
            checkpoint.write(folder, model.state_dict(), card, probs_nc)
    yield study
    torch.set_num_threads(threads)


def test_an_ensemble_repeats_what_its_members_said(study: Any, images: np.ndarray, tmp_path: Path) -> None:
    report = build(study, top=3, method="logistic", command="")
    moved = report.folder.rename(tmp_path / "elsewhere")
    ensemble = infer.load(moved)
    got = ensemble.predict(images[:30])
    cached = np.stack([np.load(t.checkpoint / PROBABILITIES) for t in study.trials])
    assert np.allclose(got, ensemble.combination.predict(cached.astype(np.float64)), atol=1e-5)
    assert got.dtype == np.float64
    assert ensemble.classes == tuple(study.data["classes"])
    assert ensemble.preprocessing == GREY


def test_the_opened_split_is_scored_on_its_rows(study: Any, images: np.ndarray) -> None:
    part = SimpleNamespace(images=images, rows=np.arange(30, 40), labels=np.arange(10) % 7)
    data: Any = SimpleNamespace(fingerprint="f00d", counts={"test": {"class0": 10}}, open_test=lambda: part)
    report = build(study, top=3, method="uniform", data=data, open_test=True, command="")
    assert report.test is not None
    assert report.test.n == 10
    got = infer.load(report.folder).predict(images[30:])
    assert (got.argmax(1) == part.labels).mean() == report.test.ensemble["accuracy"]


def test_images_of_another_size_are_refused(study: Any) -> None:
    ensemble = infer.load(build(study, top=1, command="").folder)
    with pytest.raises(UsageError, match=r"uint8 16 x 16 x 1, got uint8 \(1, 48, 48, 1\)"):
        ensemble.predict(np.zeros((1, 48, 48, 1), np.uint8))
    with pytest.raises(UsageError, match="got float64"):
        ensemble.predict(np.zeros((1, 16, 16, 1)))


def test_a_damaged_member_is_named(study: Any) -> None:
    folder = build(study, top=1, command="").folder
    path = folder / "members" / "0001" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=str(path)):
        infer.load(folder)


def test_pictures_of_any_size_and_mode_become_the_stored_size(tmp_path: Path) -> None:
    Image.new("RGB", (200, 100), (255, 0, 0)).save(tmp_path / "a.png")
    Image.new("L", (16, 16), 128).save(tmp_path / "b.jpg")
    paths = [tmp_path / "a.png", tmp_path / "b.jpg"]
    assert infer.read_images(paths, GREY).shape == (2, 16, 16, 1)
    colour = infer.read_images(paths, {"stored_size": 8, "channels": 3})
    assert colour.shape == (2, 8, 8, 3)
    assert colour.dtype == np.uint8
    assert (colour[0] == [255, 0, 0]).all()


@pytest.mark.parametrize("content", [None, b"", b"no picture", json.dumps({}).encode()])
def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "face.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=str(path)):
        infer.read_images([path], GREY)
