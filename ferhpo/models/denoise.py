"""Noise reduction as the first thing that a net does, so that no use of it can leave it out.

It holds no weights and takes normalised images: both filters give the same before and after a normalisation.
"""

from functools import partial

import torch
from torch import nn
from torch.nn import functional


class Denoise(nn.Module):
    """A 3x3 filter of each channel; what lies beyond the border repeats it.

    Args:
        kind: gaussian: weights 1 2 1 along each axis; median: the middle one of the nine values.

    References:
        Tukey 1977, Exploratory Data Analysis (running medians).
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map B x C x S x S to the same shape."""
        x = functional.pad(x, (1, 1, 1, 1), mode="replicate")
        if self.kind == "gaussian":
            for axis in (2, 3):
                before, here, after = _three(x, axis)
                x = (before + here + here + after) / 4
            return x
        # Sorted columns have the median of nine among the largest low, the middle middle and the smallest high value.
        a, b, c = _three(x, 2)
        low, high = torch.minimum(a, b), torch.maximum(a, b)
        lows, middles, highs = torch.minimum(low, c), _middle(a, b, c), torch.maximum(high, c)
        a, b, c = _three(lows, 3)
        low = torch.maximum(torch.maximum(a, b), c)
        a, b, c = _three(highs, 3)
        high = torch.minimum(torch.minimum(a, b), c)
        return _middle(low, _middle(*_three(middles, 3)), high)


def add(model: nn.Module, kind: str) -> None:
    """Let a net filter its images first; it gets no module more, since a sequence would run that at its end as well."""
    model.register_forward_pre_hook(partial(_first, Denoise(kind)))


def _first(denoise: Denoise, _: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return denoise(args[0]), *args[1:]


def _three(x: torch.Tensor, axis: int) -> tuple[torch.Tensor, ...]:
    """Return the values before, at and after each inner place of an axis."""
    return tuple(x.narrow(axis, start, x.shape[axis] - 2) for start in range(3))


def _middle(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    return torch.maximum(torch.minimum(a, b), torch.minimum(torch.maximum(a, b), c))
