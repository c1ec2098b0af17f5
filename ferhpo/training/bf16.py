"""Convolutions that bf16 on a CPU computes wrongly, in float32.

They are strided and leave one place of a map, as the last stage of a resnet18 does of images of 16 pixels: the weights'
gradient is what happened to be in memory, and of a 4 x 4 kernel over 4 x 4 places of some channels the output is wrong
(torch 2.15, AVX-512 with bf16). So little is left of a map there that float32 costs nothing.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.modules.utils import _pair

from ferhpo.training.convolution import Convolution


class OnePlace(Convolution):
    """Convolutions that are computed in float32 where they are strided and leave one place."""

    def conv2d(
        self,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> torch.Tensor:
        """Return the convolution."""
        if isinstance(padding, str) and padding != "valid":  # "same" takes no strides
            return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)
        around = (0, 0) if isinstance(padding, str) else _pair(padding)
        axes = zip(x.shape[-2:], weight.shape[-2:], _pair(stride), around, _pair(dilation), strict=True)
        if not any(step > 1 and n + 2 * pad - apart * (k - 1) <= step for n, k, step, pad, apart in axes):
            return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)
        with torch.autocast("cpu", enabled=False):
            return torch.conv2d(
                x.float(), weight.float(), None if bias is None else bias.float(), stride, padding, dilation, groups
            )


@contextmanager
def safely(inner: torch.autocast) -> Generator[None]:
    """Return the context ``inner`` with such convolutions in float32."""
    with inner, OnePlace():
        yield
