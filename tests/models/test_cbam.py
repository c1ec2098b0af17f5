from itertools import pairwise

import torch

from ferhpo.models.necks import CBAM
from ferhpo.models.registry import build
from ferhpo.space.config import TrialConfig


def test_every_stage_ends_with_attention_and_a_dense_layer_stands_before_the_classifier() -> None:
    model = build(TrialConfig(arch="cbam_cnn", head=128), classes=7, channels=1)
    widths = (1, 32, 64, 128, 256)
    convolutions = sum(i * o * 9 + 2 * o for i, o in pairwise(widths))
    mlps = sum(2 * w * (w // 16) + w // 16 + w for w in widths[1:])
    places = 4 * (2 * 7 * 7 + 2)
    head = 256 * 128 + 128 + 128 * 7 + 7
    assert sum(w.numel() for w in model.parameters()) == convolutions + mlps + places + head
    assert [type(m) for m in list(model.get_submodule("features").children())[1::2]] == [CBAM] * 4


def test_224_pixels_leave_a_map_of_28() -> None:
    model = build(TrialConfig(arch="cbam_cnn", width=4, image_size=224), classes=7, channels=1).eval()
    with torch.inference_mode():
        assert model.get_submodule("features")(torch.rand(1, 1, 224, 224)).shape == (1, 32, 28, 28)
