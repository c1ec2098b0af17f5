"""Padding before a convolution, where the convolution's own makes bf16 on a CPU compute a wrong gradient.

Of a strided convolution with padding over a map that is smaller than the stride, as the last stage of a resnet18 sees
of images of 16 pixels, the weights' gradient in bf16 is what happened to be in memory (torch 2.15, AVX-512 with bf16,
errors up to 1e34, another one each time). Where the zeros are put around the map first it is right.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional
from torch.nn.modules.utils import _pair

from ferhpo.training.convolution import Convolution


class Padded(Convolution):
    """Convolutions that pad such maps themselves."""

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
        """Return the convolution, of a padded map where the stride is larger than the map."""
        if not isinstance(padding, str) and any(step > n for step, n in zip(_pair(stride), x.shape[-2:], strict=True)):
            down, right = _pair(padding)
            x, padding = functional.pad(x, (right, right, down, down)), 0
        return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)


@contextmanager
def padded(inner: torch.autocast) -> Generator[None]:
    """Return the context ``inner`` with such maps padded first."""
    with inner, Padded():
        yield
