"""Tensors by name, from a file or a copy, into a net."""

from collections.abc import Mapping

import torch
from torch import nn


def load(model: nn.Module, tensors: Mapping[str, torch.Tensor], *, strict: bool = True) -> None:
    """Load tensors that a net's `state_dict` once named.

    Args:
        model: of the same names and shapes.
        tensors: by name.
        strict: every name must be there, and no other.

    Raises:
        RuntimeError: a name or a shape is another.
        ValueError: a layer refuses them.
    """
    state = model.state_dict()  # its metadata holds the layers' versions, which torchvision's mnasnet must know to load
    state.clear()
    state.update(tensors)
    model.load_state_dict(state, strict=strict)
