from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from ferhpo import _layout
from ferhpo.data.cache import Prepared
from ferhpo.metrics import metric
from ferhpo.models.registry import build
from ferhpo.space.config import TrialConfig
from ferhpo.training import precision, winograd
from ferhpo.training.loop import train
from ferhpo.training.precision import Precision
from ferhpo.training.winograd import Winograd, has_layers, weight_gradient

SIDE, FEW = st.integers(2, 9), st.integers(1, 5)


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "LEAST", 0.5)


def images(*shape: int) -> torch.Tensor:
    return torch.randn(shape).to(memory_format=torch.channels_last)


def expected(x: torch.Tensor, dy: torch.Tensor, padding: tuple[int, int]) -> torch.Tensor:
    weights = torch.zeros(dy.shape[1], x.shape[1], 3, 3, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(torch.conv2d(x.double(), weights, padding=padding), weights, dy.double())
    return found


@settings(deadline=None)
@given(n=FEW, c=FEW, k=FEW, height=SIDE, width=SIDE, padding=st.tuples(st.integers(1, 2), st.integers(1, 2)))
def test_it_is_the_gradient_of_the_weights(n: int, c: int, k: int, height: int, width: int, padding: Any) -> None:
    x, dy = images(n, c, height, width), images(n, k, height + 2 * padding[0] - 2, width + 2 * padding[1] - 2)
    torch.testing.assert_close(weight_gradient(x, dy, padding).double(), expected(x, dy, padding), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("block", [1, 2_000, 20_000])
def test_it_is_so_whatever_fits_into_a_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, dy = images(5, 3, 11, 9), images(5, 4, 9, 7)
    monkeypatch.setattr(winograd, "BLOCK", block)
    torch.testing.assert_close(weight_gradient(x, dy, (0, 0)).double(), expected(x, dy, (0, 0)), rtol=1e-5, atol=1e-4)


def test_images_in_the_other_memory_format_give_the_same() -> None:
    x, dy = torch.randn(2, 3, 6, 6), torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(weight_gradient(x, dy, (1, 1)).double(), expected(x, dy, (1, 1)), rtol=1e-5, atol=1e-4)


def several() -> nn.Module:
    """A net with layers that it serves, with and without a bias, among others."""
    torch.manual_seed(0)
    layers = [
        *(nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.ReLU()),
        *(nn.Conv2d(4, 4, 3, stride=2), nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 4, 3, padding="same")),
        *(nn.Conv2d(4, 4, 3, dilation=2, padding=2), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 3, (3, 3), padding=(0, 1))),
    ]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


@pytest.mark.usefixtures("_small")
def test_in_the_block_a_net_computes_the_same_and_learns_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    served, model = [], several()
    monkeypatch.setattr(winograd, "weight_gradient", lambda *given: served.append(1) or weight_gradient(*given))
    found = []
    for block in (Winograd(), torch.enable_grad()):
        x = torch.rand(3, 2, 16, 16, generator=torch.Generator().manual_seed(1)).requires_grad_()
        with block:
            y = model(x)
        model.zero_grad()
        y.square().sum().backward()
        found.append((y.detach(), x.grad, [w.grad for w in model.parameters()]))
    assert len(served) == 3
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1:], found[1][1:], rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("_small")
def test_what_does_not_learn_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "_Conv", None)  # whoever calls it fails
    frozen, x = several().requires_grad_(requires_grad=False), torch.rand(2, 2, 16, 16, requires_grad=True)
    with Winograd():
        frozen(x).sum().backward()
        assert x.grad is not None
        with torch.no_grad():
            several()(x)
        torch.conv2d(x[0], torch.rand(4, 2, 3, 3, requires_grad=True)).sum().backward()  # an image without a batch


@pytest.mark.parametrize(
    ("layer", "there"),
    [
        (nn.Conv2d(64, 64, 3, padding=1), True),
        (nn.Conv2d(64, 128, 3, padding=(1, 0), bias=False), True),
        (nn.Conv2d(32, 32, 3, padding=1), False),
        (nn.Conv2d(1, 256, 3), False),
        (nn.Conv2d(64, 64, 3, padding="same"), False),
        (nn.Conv2d(64, 64, 3, stride=2), False),
        (nn.Conv2d(64, 64, 3, dilation=2), False),
        (nn.Conv2d(64, 64, 3, groups=64), False),
        (nn.Conv2d(64, 64, (3, 1)), False),
        (nn.Conv2d(64, 64, 5), False),
        (nn.Linear(64, 64), False),
    ],
    ids=str,
)
def test_layers_that_it_serves_are_3_by_3_and_have_channels_enough(layer: nn.Module, there: bool) -> None:
    assert has_layers(nn.Sequential(nn.Flatten(), layer)) is there


@pytest.mark.usefixtures("_small")
def test_a_training_is_the_same_to_the_bit_again_and_resumed(
    data: Prepared, tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Precision(format="fp32", channels_last=True, winograd=True)
    monkeypatch.setattr(precision, "choose", lambda *_: chosen)
    config = tiny.with_params({"epochs": 3, "dropout": 0.2})
    assert has_layers(build(config, classes=3, channels=1))

    def weights(name: str, **more: Any) -> dict[str, torch.Tensor]:
        for result in train(config, data, metric=metric("accuracy"), **more):
            assert result.details["precision"] == "fp32 channels_last winograd"
            folder = tmp_path / name / str(result.epoch)
            folder.mkdir(parents=True)
            result.save(folder)
        return load_file(tmp_path / name / "3" / _layout.WEIGHTS)

    whole, again = weights("whole"), weights("again")
    monkeypatch.setattr(precision, "choose", None)  # what a run began with, it goes on with
    resumed = weights("resumed", resume=tmp_path / "whole" / "1")
    assert all(torch.equal(w, again[name]) and torch.equal(w, resumed[name]) for name, w in whole.items())
