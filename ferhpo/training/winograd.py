"""The gradient of a 3 x 3 convolution's weights in float32 by minimal filtering, for CPUs that compute in float32.

On a CPU with AVX2 alone half of a step is this gradient: oneDNN has no kernel for it there that is as fast as its other
two (85 to 125 GFLOP/s beside 150 to 200, resnet9s). Of a 4 x 4 tile of the images and a 2 x 2 tile of the output's
gradient it takes 36 multiplications a pair of channels; minimal filtering takes 16 and some additions (Winograd 1980,
Arithmetic Complexity of Computations; Lavin & Gray 2016, Fast Algorithms for Convolutional Neural Networks, arXiv
1509.09308). The sums are closer to float64's than oneDNN's.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ferhpo.training.convolution import Convolution, Geometry, Pair

BLOCK = 4 << 20  # bytes of transformed tiles at a time: caches hold them; 1 MiB is slower on two threads, 8 MiB on one
# The additions go with the channels of input and output, what they save with their product: 64 and 64 are 1.1 to 1.7
# times as fast as oneDNN, 256 and 256 twice, 32 and 32 hardly (benchmarks/weight_gradient.py).
LEAST = 24.0  # product over sum of a layer's channels
IMAGES = 4  # dimensions of a batch
# From the products to the weights' gradient. The last row's sign is that of `_gradient_tiles`.
TO_WEIGHTS = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, -1.0))


class Winograd(Convolution):
    """Convolutions that return the same numbers, with that gradient.

    A gradient of the images alone, in the block, costs the weights' too.
    """

    def conv2d(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, geometry: Geometry
    ) -> torch.Tensor:
        """Return the convolution, with that gradient where `_serves` says so."""
        learns = weight.requires_grad and torch.is_grad_enabled()
        if learns and x.ndim == IMAGES and _serves(weight, geometry):
            return _Conv.apply(x, weight, bias, geometry.padding)
        return geometry.conv2d(x, weight, bias)


def has_layers(model: nn.Module) -> bool:
    """Tell whether a net has a convolution that the block would change."""
    layers = (m for m in model.modules() if isinstance(m, nn.Conv2d))
    return any(_serves(m.weight, Geometry.of(m.stride, m.padding, m.dilation, m.groups)) for m in layers)


def weight_gradient(x: torch.Tensor, dy: torch.Tensor, padding: Pair) -> torch.Tensor:
    """Return the gradient of a 3 x 3 convolution's weights, K x C x 3 x 3.

    Args:
        x: images N x C x H x W; fastest in channels_last, as ``dy``.
        dy: gradient of the output, N x K x H + 2 padding - 2 x W + 2 padding - 2.
        padding: zeros above and below, left and right.
    """
    odd = (dy.shape[3] % 2, dy.shape[2] % 2)
    dy = functional.pad(dy, (0, odd[0], 0, odd[1])) if any(odd) else dy
    x, dy = x.permute(0, 2, 3, 1), dy.permute(0, 2, 3, 1)
    (n, height, width, c), k, (down, right) = x.shape, dy.shape[3], padding
    h, w = dy.shape[1] // 2, dy.shape[2] // 2
    tiles = max(1, BLOCK // (16 * (c + k) * x.element_size()))
    images, rows = max(1, min(n, tiles // (h * w))), max(1, min(h, tiles // w))
    padded = x.new_zeros(images, 2 * h + 2, 2 * w + 2, c)
    halves_x, tiles_x = x.new_empty(4, images, rows, 2 * w + 2, c), x.new_empty(4, 4, images, rows, w, c)
    halves_y, tiles_y = x.new_empty(4, images, rows, 2 * w, k), x.new_empty(4, 4, images, rows, w, k)
    products = x.new_zeros(16, k, c)
    for first in range(0, n, images):
        part = min(images, n - first)
        padded[:part, down : down + height, right : right + width] = x[first : first + part]
        for top in range(0, h, rows):
            band = min(rows, h - top)
            vx, vy = tiles_x[:, :, :part, :band], tiles_y[:, :, :part, :band]
            _image_tiles(padded[:part, 2 * top : 2 * (top + band) + 2], halves_x[:, :part, :band], vx)
            _gradient_tiles(dy[first : first + part, 2 * top : 2 * (top + band)], halves_y[:, :part, :band], vy)
            products.baddbmm_(vy.view(16, -1, k).transpose(1, 2), vx.view(16, -1, c))
    to_weights = x.new_tensor(TO_WEIGHTS)
    found = torch.einsum("ai,bj,abkc->kijc", to_weights, to_weights, products.view(4, 4, k, c))
    return found.contiguous().permute(0, 3, 1, 2)  # channels_last, as the weights


def _image_tiles(x: torch.Tensor, halves: torch.Tensor, out: torch.Tensor) -> None:
    """Transform 4 x 4 tiles, two apart: along the rows into ``halves``, then along the columns."""
    for samples, axis, to in ((x, 1, halves), (halves, 3, out.transpose(0, 1))):
        a, b, c, d = samples.unfold(axis, 4, 2).unbind(-1)
        torch.sub(a, c, out=to[0])
        torch.add(b, c, out=to[1])
        torch.sub(c, b, out=to[2])
        torch.sub(b, d, out=to[3])


def _gradient_tiles(dy: torch.Tensor, halves: torch.Tensor, out: torch.Tensor) -> None:
    """Transform 2 x 2 tiles, as `_image_tiles`; the last of the four is taken with the other sign."""
    for samples, axis, to in ((dy, 1, halves), (halves, 3, out.transpose(0, 1))):
        a, b = samples.unfold(axis, 2, 2).unbind(-1)
        to[0].copy_(a)
        torch.add(a, b, out=to[1])
        torch.sub(a, b, out=to[2])
        to[3].copy_(b)


class _Conv(torch.autograd.Function):
    """A convolution whose weights' gradient is `weight_gradient`; all else is torch's."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        padding: Pair,
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        return torch.conv2d(x, weight, bias, padding=padding)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (x, weight), (dy,), (of_x, of_weight, of_bias, _) = ctx.saved_tensors, grad_outputs, ctx.needs_input_grad
        dx = None
        if of_x:
            given = (None, (1, 1), ctx.padding, (1, 1), False, (0, 0), 1, (True, False, False))
            dx = torch.ops.aten.convolution_backward(dy, x, weight, *given)[0]
        dw = weight_gradient(x, dy, ctx.padding) if of_weight else None
        return dx, dw, dy.sum((0, 2, 3)) if of_bias else None, None


def _serves(weight: torch.Tensor, geometry: Geometry) -> bool:
    k, c = weight.shape[:2]
    plain = weight.shape[2:] == (3, 3) and geometry.groups == 1 and not isinstance(geometry.padding, str)
    return plain and geometry.stride == geometry.dilation == (1, 1) and k * c >= LEAST * (k + c)
