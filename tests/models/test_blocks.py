import torch
from torch import nn

from ferhpo.models.blocks import Net, Residual, conv


def test_a_convolution_halves_by_stride_or_by_pool() -> None:
    x = torch.rand(2, 3, 10, 10)
    assert conv(3, 4)(x).shape == (2, 4, 10, 10)
    assert conv(3, 4, stride=2)(x).shape == (2, 4, 5, 5)
    assert conv(3, 4, pool=True)(x).shape == (2, 4, 5, 5)


def test_the_pool_stands_before_the_norm() -> None:
    assert [type(m) for m in conv(1, 2, pool=True)] == [nn.Conv2d, nn.MaxPool2d, nn.BatchNorm2d, nn.GELU]


def test_a_residual_adds_to_its_input() -> None:
    block = Residual(4).eval()
    nn.init.zeros_(block.second[1].weight)  # pyright: ignore[reportArgumentType]
    x = torch.rand(2, 4, 6, 6)
    assert torch.equal(block(x), x)


def test_a_net_averages_over_the_image() -> None:
    net = Net(nn.Identity(), 4, 3, 0.5).eval()
    x = torch.rand(2, 4, 6, 6)
    assert torch.allclose(net(x), net.classifier(x.mean((2, 3))))
