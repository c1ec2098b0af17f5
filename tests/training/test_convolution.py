import torch
from torch import nn

from ferhpo.training.convolution import Convolution


class Doubled(Convolution):
    def conv2d(self, x: torch.Tensor, weight: torch.Tensor, *others: object, **more: object) -> torch.Tensor:
        return 2 * torch.conv2d(x, weight, *others, **more)  # pyright: ignore[reportArgumentType, reportCallIssue]


def test_layers_in_the_block_call_it_and_no_others_do() -> None:
    layer, x = nn.Conv2d(2, 3, 3, padding=1), torch.rand(4, 2, 5, 5)
    plain = layer(x)
    with Doubled():
        doubled, joined = layer(x), torch.cat([x, x])
    assert torch.equal(doubled, 2 * plain)
    assert torch.equal(joined, torch.cat([x, x]))
    assert torch.equal(layer(x), plain)
