import pytest
import torch
from torch.nn import functional

from ferhpo.training.precision import Precision

BF16 = Precision(format="bf16", channels_last=True)


@pytest.mark.parametrize("groups", [1, 16])
@pytest.mark.parametrize(("kernel", "stride", "size"), [(3, 2, 1), (5, 2, 1), (7, 4, 3), (3, 4, 2), (3, 2, 2)])
def test_the_gradient_of_a_strided_convolution_over_a_small_map_is_right(
    kernel: int, stride: int, size: int, groups: int
) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(16, 16, kernel, stride, kernel // 2, groups=groups).to(memory_format=torch.channels_last)
    x = torch.randn(6, 16, size, size)
    weight = layer.weight.detach().double().requires_grad_()
    bias = None if layer.bias is None else layer.bias.detach().double()
    functional.conv2d(x.double(), weight, bias, stride, kernel // 2, 1, groups).square().sum().backward()
    for seed in range(5):
        torch.manual_seed(seed)
        freed = [torch.full((int(n),), 1e20) for n in torch.randint(10, 9000, (10,))]
        del freed  # what a wrong gradient would be made of
        layer.zero_grad()
        with BF16.training("cpu"):
            y = layer(x.to(memory_format=torch.channels_last))
        y.float().square().sum().backward()
        assert layer.weight.grad is not None
        assert weight.grad is not None
        assert (layer.weight.grad - weight.grad).norm() < 0.02 * weight.grad.norm()


@pytest.mark.parametrize(("channels", "out"), [(16, 8), (16, 64), (24, 16)])
@pytest.mark.parametrize(("size", "padding"), [(4, 0), (2, 1)])
def test_a_kernel_as_large_as_its_map_has_the_right_output(channels: int, out: int, size: int, padding: int) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(channels, out, 4, 4, padding).to(memory_format=torch.channels_last)
    x = torch.randn(4, channels, size, size).to(memory_format=torch.channels_last)
    exact = layer(x).detach()
    with BF16.training("cpu"):
        trained = layer(x)
    with torch.no_grad(), BF16.autocast("cpu"):  # as validated and predicted
        seen = layer(x)
    for y in (trained, seen):
        assert (y.detach().float() - exact).norm() < 0.02 * exact.norm()


def test_other_layers_compute_what_they_would() -> None:
    torch.manual_seed(0)
    layer, x = torch.nn.Conv2d(3, 4, 3, 2, "valid"), torch.randn(2, 3, 9, 9)
    with BF16.training("cpu"):
        ours = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ours, layer(x))
