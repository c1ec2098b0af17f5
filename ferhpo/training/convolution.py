"""A block in which the layers' convolutions are computed in another way."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Convolution(TorchFunctionMode, ABC):
    """A context in which `torch.conv2d`, which the layers call, is `conv2d`."""

    @abstractmethod
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
        """Return what `torch.conv2d` would."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Do what a call of torch asks for."""
        return (self.conv2d if func is torch.conv2d else func)(*args, **(kwargs or {}))
