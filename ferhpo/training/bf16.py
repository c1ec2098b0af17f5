"""Convolutions that bf16 on a CPU computes wrongly, in float32.

They are strided and leave one place of a map, as the last stage of a resnet18 does of images of 16 pixels: the weights'
gradient is what happened to be in memory, and of a 4 x 4 kernel over 4 x 4 places of some channels the output is wrong
(torch 2.15, AVX-512 with bf16). So little is left of a map there that float32 costs nothing.
"""

from collections.abc import Generator
from contextlib import contextmanager

import torch

from ferhpo.training.convolution import Convolution, Geometry


class OnePlace(Convolution):
    """Convolutions that are computed in float32 where they are strided and leave one place."""

    def conv2d(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, geometry: Geometry
    ) -> torch.Tensor:
        """Return the convolution."""
        if not _leaves_one_place(x, weight, geometry):
            return geometry.conv2d(x, weight, bias)
        with torch.autocast("cpu", enabled=False):
            return geometry.conv2d(x.float(), weight.float(), None if bias is None else bias.float())


@contextmanager
def safely(inner: torch.autocast) -> Generator[None]:
    """Return the context ``inner`` with such convolutions in float32."""
    with inner, OnePlace():
        yield


def _leaves_one_place(x: torch.Tensor, weight: torch.Tensor, geometry: Geometry) -> bool:
    if isinstance(geometry.padding, str):  # "same", which takes no strides
        return False
    sizes = x.shape[-2:], weight.shape[-2:]
    axes = zip(*sizes, geometry.stride, geometry.padding, geometry.dilation, strict=True)
    return any(step > 1 and n + 2 * pad - apart * (k - 1) <= step for n, k, step, pad, apart in axes)
