"""Noise reduction: what the filters do, and that no net with one can be used without it."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from ferhpo.models.denoise import Denoise, add
from ferhpo.models.registry import build
from ferhpo.space.config import TrialConfig

X = torch.rand(3, 2, 7, 9, generator=torch.Generator().manual_seed(0))


def test_the_median_is_that_of_the_nine_values_around_each_place() -> None:
    around = functional.unfold(functional.pad(X, (1, 1, 1, 1), mode="replicate"), 3).view(3, 2, 9, 7, 9)
    assert torch.equal(Denoise("median")(X), around.median(2).values)


def test_the_gaussian_weighs_by_1_2_1_along_each_axis() -> None:
    weights = torch.tensor([1.0, 2.0, 1.0])
    kernel = (weights[:, None] * weights / 16).expand(2, 1, 3, 3)
    want = functional.conv2d(functional.pad(X, (1, 1, 1, 1), mode="replicate"), kernel, groups=2)
    assert torch.allclose(Denoise("gaussian")(X), want, atol=1e-6)


@pytest.mark.parametrize("kind", ["gaussian", "median"])
def test_a_filter_commutes_with_normalisation_and_calms_noise(kind: str) -> None:
    assert torch.allclose(Denoise(kind)(X * 3 - 1), Denoise(kind)(X) * 3 - 1, atol=1e-5)
    spots = torch.full((1, 1, 16, 16), 0.5)
    spots[..., ::5, ::5] = 1.0
    assert Denoise(kind)(spots).std() < 0.7 * spots.std()


def test_a_sequence_of_layers_filters_its_images_once() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x = torch.rand(2, 1, 8, 8)
    want = net(Denoise("median")(x))
    add(net, "median")
    assert torch.equal(net(x), want)


@pytest.mark.parametrize("arch", ["resnet9s", "timm:test_resnet"])
def test_a_net_with_a_filter_is_the_same_net_on_filtered_images_and_so_are_its_copies(arch: str) -> None:
    config = TrialConfig(arch=arch, width=4, image_size=16)
    torch.manual_seed(0)
    plain = build(config, classes=3, channels=1).eval()
    filtered = build(config.with_params({"denoise": "median"}), classes=3, channels=1).eval()
    filtered.load_state_dict(plain.state_dict())
    x = torch.rand(2, 1, 16, 16)
    want = plain(Denoise("median")(x))
    assert torch.equal(filtered(x), want)
    assert torch.equal(copy.deepcopy(filtered)(x), want)
    assert not torch.equal(filtered(x), plain(x))
