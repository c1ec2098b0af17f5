"""A block in which the layers' convolutions are computed in another way."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Geometry:
    """What `torch.conv2d` is told beside its tensors; ``padding`` may be "same"."""

    stride: Pair
    padding: Pair | str
    dilation: Pair
    groups: int

    @classmethod
    def of(cls, stride: Any, padding: Any, dilation: Any, groups: int) -> "Geometry":
        """Return what torch understands by these: a number for both sides, a text, or one number a side."""
        around = padding if padding == "same" else _pair(0 if padding == "valid" else padding)
        return cls(_pair(stride), around, _pair(dilation), groups)

    def conv2d(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Return torch's own convolution."""
        return torch.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)


class Convolution(TorchFunctionMode, ABC):
    """A context in which `torch.conv2d`, which the layers call, is `conv2d`."""

    @abstractmethod
    def conv2d(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, geometry: Geometry
    ) -> torch.Tensor:
        """Return what `geometry.conv2d` would."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Do what a call of torch asks for."""
        if func is torch.conv2d:
            return self.conv2d(*_told(*args, **(kwargs or {})))
        return func(*args, **(kwargs or {}))


def _told(
    input: torch.Tensor,  # noqa: A002 - torch's name
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, Geometry]:
    """Return the arguments of `Convolution.conv2d` for those of `torch.conv2d`."""
    return input, weight, bias, Geometry.of(stride, padding, dilation, groups)


def _pair(value: int | Sequence[int]) -> Pair:
    first, second = (value, value) if isinstance(value, int) else (value[0], value[-1])
    return first, second
