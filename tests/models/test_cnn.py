"""The four plain CNNs are what the starting points describe."""

import pytest
import torch
from torch import nn

from ferhpo.models.registry import build
from ferhpo.space.config import TrialConfig


def size(model: nn.Module) -> int:
    return sum(w.numel() for w in model.parameters())


def grey(arch: str, **more: object) -> nn.Module:
    return build(TrialConfig.from_params({"arch": arch, "activation": "relu", **more}), classes=7, channels=1)


def conv(inputs: int, outputs: int) -> int:
    return inputs * outputs * 9 + outputs


def dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def test_shallow_is_two_convolutions_and_one_dense_layer() -> None:
    assert size(grey("shallow_cnn")) == conv(1, 32) + conv(32, 64) + dense(64 * 48 * 48, 7)


def test_improved_adds_relu_a_pool_a_convolution_and_a_dense_layer() -> None:
    model = grey("improved_cnn", head=128)
    flat = 128 * 6 * 6  # 48 -> 24 -> 12 -> 6
    want = conv(1, 32) + conv(32, 64) + conv(64, 128) + dense(flat, 128) + dense(128, 7)
    assert size(model) == want
    assert [str(m) for m in model.modules() if isinstance(m, nn.MaxPool2d)] == [
        "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=True)"
    ] * 3
    assert sum(isinstance(m, nn.ReLU) for m in model.modules()) == 4


def test_deep_adds_convolutions_and_batch_norm() -> None:
    def normed(inputs: int, outputs: int) -> int:
        return inputs * outputs * 9 + 2 * outputs

    stages = [(1, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128)]
    want = sum(normed(i, o) for i, o in stages) + dense(128 * 6 * 6, 128) + dense(128, 7)
    assert size(grey("deep_cnn", head=128)) == want


def test_ensemble_is_four_convolutions_with_pools_and_dense_layers_of_1024_and_4096() -> None:
    model = grey("ensemble_cnn")
    filters = conv(1, 32) + conv(32, 32) + conv(32, 64) + conv(64, 64)
    flat = 64 * 3 * 3  # 48 -> 24 -> 12 -> 6 -> 3
    assert size(model) == filters + dense(flat, 1024) + dense(1024, 4096) + dense(4096, 7) == 4_882_919
    assert sum(isinstance(m, nn.MaxPool2d) for m in model.modules()) == 4


@pytest.mark.parametrize(
    ("arch", "shape"),
    [
        ("shallow_cnn", (2, 64, 48, 48)),
        ("improved_cnn", (2, 128, 6, 6)),
        ("deep_cnn", (2, 128, 6, 6)),
        ("ensemble_cnn", (2, 64, 3, 3)),
    ],
)
def test_the_last_map_has_the_size_that_the_pools_leave(arch: str, shape: tuple[int, ...]) -> None:
    assert grey(arch).get_submodule("features")(torch.rand(2, 1, 48, 48)).shape == shape
