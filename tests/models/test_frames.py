"""Nets over sequences: each frame by itself, then all of them together, in any net."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from ferhpo.errors import ModelError
from ferhpo.models import registry
from ferhpo.models.frames import OverTime
from ferhpo.space.config import TrialConfig


@pytest.mark.parametrize(
    "more",
    [
        {"arch": "resnet9s"},
        {"arch": "vgg8", "head": 6, "activation": "gelu", "neck": "self_attention"},
        {"arch": "timm:test_resnet"},
        {"arch": "timm:test_vit", "patch_size": 8},
        {"arch": "torchvision:shufflenet_v2_x0_5", "head": 8, "activation": "gelu", "denoise": "gaussian"},
    ],
)
def test_any_net_takes_sequences_and_sees_their_order(more: dict[str, Any]) -> None:
    config = TrialConfig(**{"width": 4, "image_size": 16, "frames": 3, "dropout": 0.0, **more})
    torch.manual_seed(0)
    model = registry.build(config, classes=4, channels=3).eval()
    x = torch.rand(2, 3, config.image_size, config.image_size)
    with torch.inference_mode():
        said = model(x)
        assert said.shape == (2, 4)
        assert torch.allclose(model(x[:1]), said[:1], atol=1e-4), "a sample's frames are its own"
        assert torch.equal(copy.deepcopy(model)(x), said)
        model.train()  # with norms that have seen nothing yet, deep nets hardly tell images apart
        assert not torch.allclose(model(x.flip(1)), model(x), rtol=0, atol=1e-4)


def test_colour_frames_lie_one_after_the_other() -> None:
    model = registry.build(TrialConfig(width=4, image_size=16, frames=2), classes=3, channels=6).eval()
    seen: list[torch.Tensor] = []
    model.get_submodule("features").register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x = torch.rand(2, 6, 16, 16)
    model(x)
    assert torch.equal(seen[0], torch.stack((x[0, :3], x[0, 3:], x[1, :3], x[1, 3:])))


def test_over_time_is_the_mean_and_the_last_states_of_both_directions() -> None:
    torch.manual_seed(0)
    layer, x = OverTime(6, 4), torch.rand(8, 6)
    samples = x.view(2, 4, 6)
    last = layer.lstm(samples)[1][0]
    want = samples.mean(1) + torch.cat((last[0], last[1]), 1)
    assert torch.allclose(layer(x), want, atol=1e-6)


def test_on_a_frozen_base_what_reads_the_frames_is_trained() -> None:
    config = TrialConfig(arch="timm:test_resnet", image_size=32, frames=2)
    model = registry.build(config, classes=3, channels=2)
    registry.freeze(model)
    lstm = next(m for m in model.modules() if isinstance(m, nn.LSTM))
    assert all(weight.requires_grad for weight in lstm.parameters())


def test_channels_that_are_no_whole_frames_are_refused() -> None:
    with pytest.raises(ModelError, match="1 or 3 channels in each of 3 frames, got 4"):
        registry.build(TrialConfig(frames=3), classes=3, channels=4)


def test_a_net_without_a_linear_classifier_is_refused() -> None:
    config = TrialConfig(arch="torchvision:squeezenet1_1", image_size=64, frames=2)
    with pytest.raises(ModelError, match="has no single linear classifier of an even number of features"):
        registry.build(config, classes=3, channels=2)
