"""Sequences of frames for any net: it looks at each frame by itself, and an LSTM goes over what it saw.

A sample's frames lie one after the other in its channels, so data, augmentation and export know nothing of time, and
every frame of a sample is augmented by the same draw.
"""

from functools import partial

import torch
from torch import nn

from ferhpo.errors import ModelError
from ferhpo.models import external
from ferhpo.models.blocks import Head
from ferhpo.models.necks import read

NAME = "over_time"  # of the module, within the classifier's first layer


class OverTime(nn.Module):
    """The mean of the frames' features, and the last states of an LSTM that reads them from both ends.

    Args:
        features: of a frame, even.
        frames: of a sample.

    References:
        Donahue et al. 2014, Long-term Recurrent Convolutional Networks, arXiv 1411.4389. Changed here: both directions,
        one prediction a sequence, and the mean beside, so that a net begins with what a still tells.
    """

    def __init__(self, features: int, frames: int) -> None:
        super().__init__()
        self.frames, self.states = frames, features // 2
        self.lstm = nn.LSTM(features, self.states, batch_first=True, bidirectional=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map frames, samples * frames x features, to samples x features."""
        x = x.unflatten(0, (-1, self.frames))
        states = read(self.lstm, x)
        return x.mean(1) + torch.cat((states[:, -1, : self.states], states[:, 0, self.states :]), 1)


def add(model: nn.Module, frames: int, arch: str) -> None:
    """Make a net of single images one of sequences, B x frames * channels x S x S; its weights keep their names.

    Raises:
        ModelError: it has no linear classifier before which the frames could meet, or an odd number of features.
    """
    names = external.heads(model)
    layer = model.get_submodule(names[0])
    first, linear = (layer[0], layer[1]) if isinstance(layer, Head) else (layer, layer)
    if len(names) > 1 or not isinstance(linear, nn.Linear) or linear.in_features % 2:
        wanted = "single linear classifier of an even number of features, before which frames could meet"
        msg = f"{arch} has no {wanted}; set head = 128 or choose another arch"
        raise ModelError(msg)
    first.add_module(NAME, OverTime(linear.in_features, frames))
    first.register_forward_pre_hook(_together)
    model.register_forward_pre_hook(partial(_apart, frames=frames))


def _apart(_: nn.Module, args: tuple[torch.Tensor, ...], *, frames: int) -> tuple[torch.Tensor, ...]:
    return args[0].unflatten(1, (frames, -1)).flatten(0, 1), *args[1:]


def _together(layer: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return layer.get_submodule(NAME)(args[0]), *args[1:]
