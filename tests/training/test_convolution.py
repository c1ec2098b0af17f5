from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from ferhpo.training.convolution import Convolution, Geometry


class Doubled(Convolution):
    def conv2d(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, geometry: Geometry
    ) -> torch.Tensor:
        return 2 * geometry.conv2d(x, weight, bias)


def test_layers_in_the_block_call_it_and_no_others_do() -> None:
    layer, x = nn.Conv2d(2, 3, 3, padding=1), torch.rand(4, 2, 5, 5)
    plain = layer(x)
    with Doubled():
        doubled, joined = layer(x), torch.cat([x, x])
    assert torch.equal(doubled, 2 * plain)
    assert torch.equal(joined, torch.cat([x, x]))
    assert torch.equal(layer(x), plain)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"stride": 2, "padding": 1},
        {"stride": (2,), "dilation": [2]},
        {"padding": "same", "groups": 1},
        {"padding": "valid", "stride": (1, 2)},
        {"padding": (0, 2)},
    ],
)
def test_a_call_may_say_what_torch_lets_it_say(told: dict[str, Any]) -> None:
    x, weight = torch.rand(4, 2, 7, 7), torch.rand(3, 2, 3, 3)
    plain = functional.conv2d(x, weight, **told)
    with Doubled():
        assert torch.equal(functional.conv2d(input=x, weight=weight, **told), 2 * plain)
