import pytest
import torch
from torch import nn

from ferhpo.models.blocks import Head, Net, Residual, activation, conv
from ferhpo.space.config import ACTIVATIONS, TrialConfig


def test_a_convolution_halves_by_stride_or_by_pool() -> None:
    x = torch.rand(2, 3, 10, 10)
    assert conv(3, 4, "gelu")(x).shape == (2, 4, 10, 10)
    assert conv(3, 4, "gelu", stride=2)(x).shape == (2, 4, 5, 5)
    assert conv(3, 4, "gelu", pool=True)(x).shape == (2, 4, 5, 5)


def test_the_pool_stands_before_the_norm() -> None:
    assert [type(m) for m in conv(1, 2, "gelu", pool=True)] == [nn.Conv2d, nn.MaxPool2d, nn.BatchNorm2d, nn.GELU]


def test_a_residual_adds_to_its_input() -> None:
    block = Residual(4, "gelu").eval()
    nn.init.zeros_(block.second[1].weight)  # pyright: ignore[reportArgumentType]
    x = torch.rand(2, 4, 6, 6)
    assert torch.equal(block(x), x)


def test_a_net_averages_over_the_image() -> None:
    net = Net(TrialConfig(dropout=0.5), nn.Identity(), 4, 3).eval()
    x = torch.rand(2, 4, 6, 6)
    assert torch.allclose(net(x), net.classifier(x.mean((2, 3))))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_after_a_norm_has_the_gradients_of_one_that_copies(name: str) -> None:
    torch.manual_seed(0)
    block, x = conv(2, 3, name), torch.rand(4, 2, 6, 6)
    block(x).square().sum().backward()
    found = [w.grad.clone() for w in block.parameters() if w.grad is not None]
    block.zero_grad()
    last = getattr(nn.functional, name)(nn.Sequential(*block[:-1])(x))
    last.square().sum().backward()
    wanted = [w.grad for w in block.parameters() if w.grad is not None]
    assert len(found) == 3
    assert all(torch.allclose(f, w, atol=1e-5) for f, w in zip(found, wanted, strict=True))


def test_relu_works_in_place() -> None:
    x = -torch.ones(2)
    activation("relu")(x)
    assert x.tolist() == [0, 0]


def test_a_head_has_one_hidden_layer_between_its_dropouts() -> None:
    config = TrialConfig(head=5, activation="relu", feature_dropout=0.3, dropout=0.5)
    net = Net(config, nn.Identity(), 4, 3)
    assert isinstance(net.classifier, Head)
    assert [str(layer) for layer in net.classifier] == [
        "Dropout(p=0.3, inplace=False)",
        "Linear(in_features=4, out_features=5, bias=True)",
        "ReLU(inplace=True)",
        "Dropout(p=0.5, inplace=False)",
        "Linear(in_features=5, out_features=3, bias=True)",
    ]
    assert len([m for m in net.modules() if isinstance(m, nn.Dropout)]) == 2


def test_a_pool_of_ones_own_stands_behind_the_neck() -> None:
    net = Net(TrialConfig(neck="cbam"), nn.Identity(), 4, 3, pool=nn.Flatten(), outputs=36).eval()
    x = torch.rand(2, 4, 3, 3)
    assert torch.equal(net(x), net.classifier(net.neck(x).flatten(1)))
