import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ferhpo import _layout
from ferhpo.data.cache import Prepared
from ferhpo.errors import CheckpointError, UsageError
from ferhpo.metrics import metric
from ferhpo.space.config import TrialConfig
from ferhpo.training import predict
from ferhpo.training.images import Preprocessing
from ferhpo.training.loop import train
from ferhpo.training.predict import like_validation, load_model, moved, probabilities


class Remembers(torch.nn.Module):
    """A net that keeps a tensor by the size of its input, as some keep places or masks."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[int, torch.Tensor] = {}
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[-1] not in self.kept:
            self.kept[x.shape[-1]] = torch.ones(x.shape[-1]) * 2
        return (x * self.scale * self.kept[x.shape[-1]]).mean((2, 3)).repeat(1, 2)


def test_what_a_net_keeps_while_it_predicts_can_be_trained_with() -> None:
    net, images = Remembers(), np.zeros((4, 8, 8, 1), np.uint8)
    look = Preprocessing(stored_size=8, image_size=8, channels=1, mean=(0.5,), std=(0.5,), mirror=False)
    probabilities(net, images, look)
    net(torch.randn(2, 1, 8, 8)).sum().backward()
    assert net.scale.grad is not None


@pytest.fixture
def folder(data: Prepared, tiny: TrialConfig, tmp_path: Path) -> Path:
    epoch = tmp_path / "epoch"
    epoch.mkdir()
    config = tiny.with_params({"epochs": 1, "ema": 0.9, "flip": 1.0})
    for result in train(config, data, metric=metric("accuracy"), provenance={"trial": 3}):
        result.save(epoch)
    return epoch


def test_a_loaded_model_gives_the_validation_probabilities_again(folder: Path, data: Prepared) -> None:
    model, card = load_model(folder)
    preprocessing = Preprocessing.from_json(card["preprocessing"])
    val = data.part("val")
    probs = probabilities(model, data.images, preprocessing, rows=val.rows)
    assert np.allclose(probs, np.load(folder / _layout.PROBABILITIES), atol=1e-6)
    assert probs.dtype == np.float32
    assert card["provenance"]["trial"] == 3
    assert card["provenance"]["fingerprint"] == data.fingerprint


def test_rows_are_all_images_unless_given_and_batches_change_nothing(folder: Path, data: Prepared) -> None:
    model, card = load_model(folder)
    preprocessing = Preprocessing.from_json(card["preprocessing"])
    whole = probabilities(model, data.images, preprocessing)
    parts = probabilities(model, data.images, preprocessing, batch=5)
    assert whole.shape == (74, 3)
    assert np.allclose(whole, parts, atol=1e-6)
    assert np.allclose(whole.sum(1), 1, atol=1e-5)


def test_a_prediction_that_memory_does_not_hold_is_made_in_smaller_batches(folder: Path, data: Prepared) -> None:
    model, card = load_model(folder)
    preprocessing = Preprocessing.from_json(card["preprocessing"])
    whole = probabilities(model, data.images, preprocessing)

    def at_most_20(_: torch.nn.Module, args: tuple[torch.Tensor]) -> None:
        if len(args[0]) > 20:
            raise torch.OutOfMemoryError

    model.register_forward_pre_hook(at_most_20)
    assert np.allclose(probabilities(model, data.images, preprocessing), whole, atol=1e-6)
    with pytest.raises(torch.OutOfMemoryError):
        probabilities(model, data.images, preprocessing, batch=40)


def test_a_mirrored_prediction_is_the_same_for_the_mirror_image(folder: Path, data: Prepared) -> None:
    model, card = load_model(folder)
    preprocessing = Preprocessing.from_json(card["preprocessing"])
    assert preprocessing.mirror
    images = np.ascontiguousarray(data.images[:, :, ::-1])
    a, b = (probabilities(model, x, preprocessing) for x in (data.images, images))
    assert np.allclose(a, b, atol=1e-6)


def test_a_moved_image_repeats_its_border() -> None:
    image = torch.arange(9, dtype=torch.uint8).reshape(1, 1, 3, 3)
    assert moved(image, 1, 0)[0, 0].tolist() == [[0, 1, 2], [0, 1, 2], [3, 4, 5]]
    assert moved(image, 0, -2)[0, 0].tolist() == [[2, 2, 2], [5, 5, 5], [8, 8, 8]]
    assert moved(image, 0, 0) is image


def test_views_are_averaged(folder: Path, data: Prepared) -> None:
    model, card = load_model(folder)
    preprocessing = Preprocessing.from_json(card["preprocessing"])
    views = ((False, 0, 0), (True, 1, -2))
    both = probabilities(model, data.images, preprocessing, views=views)
    one = probabilities(model, data.images, preprocessing, views=views[:1])
    rolled = np.pad(data.images, ((0, 0), (1, 0), (0, 2), (0, 0)), mode="edge")[:, :-1, 2:, :]
    other = probabilities(model, np.ascontiguousarray(rolled[:, :, ::-1]), preprocessing, views=views[:1])
    assert np.allclose(both, (one + other) / 2, atol=1e-6)
    assert not np.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("able", [True, False])
def test_probabilities_are_computed_like_those_of_validation_where_the_machine_can(
    able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "_has_bf16", lambda device: able)
    card = {"precision": {"format": "bf16", "channels_last": False, "why": "measured"}}
    assert like_validation(card, "cpu").format == ("bf16" if able else "fp32")
    card["precision"]["format"] = "fp16"
    assert [like_validation(card, device).format for device in ("cpu", "cuda")] == ["fp32", "fp16"]
    card["precision"]["format"] = "fp32"
    assert not like_validation(card, "cpu").channels_last
    assert like_validation({"precision": None}, "cpu") == predict.FP32


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("config", {"arch": "resnet9t"}, "did you mean 'resnet9'"),
        ("config", {"lr": -1}, "lr must be at least"),
        ("preprocessing", {}, "'mean'"),
        ("preprocessing", {"size": 1, "mean": [0], "std": [1]}, "size"),
        ("classes", ["a", "b"], "classifier.bias"),
    ],
)
def test_a_card_that_does_not_fit_its_weights_is_refused(folder: Path, key: str, value: object, message: str) -> None:
    card = json.loads((folder / _layout.CARD).read_text())
    (folder / _layout.CARD).write_text(json.dumps(card | {key: value}))
    with pytest.raises(CheckpointError, match=f"does not rebuild its model .*{message}"):
        load_model(folder)


class Versioned(torch.nn.Linear):
    """A classifier that loads nothing without its version, as torchvision's mnasnet."""

    _version = 2

    def _load_from_state_dict(self, *args: Any, **more: Any) -> None:
        if args[2].get("version") != self._version:
            msg = f"version should be set to {self._version}"
            raise ValueError(msg)
        super()._load_from_state_dict(*args, **more)


def test_a_net_that_asks_for_its_version_is_resumed_restored_and_read_back(
    data: Prepared, tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = lambda: torch.nn.Sequential(torch.nn.Flatten(), Versioned(64, 3))  # noqa: E731
    monkeypatch.setattr(predict.registry, "build", lambda *_, **__: net())
    more = {"epochs": 2, "ema": 0.9, "patience": 2, "adversarial": "fgsm"}
    config = tiny.with_params(more)
    first = next(train(config, data, metric=metric("accuracy")))
    first.save(tmp_path)
    (last,) = train(config, data, metric=metric("accuracy"), resume=tmp_path)
    over = tmp_path / "over"
    over.mkdir()
    last.save(over)
    assert load_model(over)[1]["figures"] == last.figures
    broken = net()
    vars(broken[1])["_load_from_state_dict"] = lambda *_: int("no number")
    monkeypatch.setattr(predict.registry, "build", lambda *_, **__: broken)
    with pytest.raises(CheckpointError, match=r"does not rebuild its model .*no number"):
        load_model(over)


def test_weights_that_are_refused_without_a_word_are_told_by_the_errors_type(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(predict.weights, "load", refuse)
    with pytest.raises(CheckpointError, match=r"does not rebuild its model \(ValueError\)"):
        load_model(folder)


def test_loading_leaves_the_random_generators_alone(folder: Path) -> None:
    torch.manual_seed(0)
    want = torch.rand(2)
    torch.manual_seed(0)
    load_model(folder)
    assert torch.equal(torch.rand(2), want)


def test_a_card_makes_nobody_import_a_module_that_was_not_named(folder: Path) -> None:
    card = json.loads((folder / _layout.CARD).read_text())
    card["config"]["arch"] = "python:antigravity:build"
    (folder / _layout.CARD).write_text(json.dumps(card))
    with pytest.raises(UsageError, match="set FERHPO_MODULES=antigravity"):
        load_model(folder)
    assert "antigravity" not in sys.modules
