"""ResNet with basic blocks, at any width.

References:
    He et al. 2015, Deep Residual Learning for Image Recognition, arXiv 1512.03385.
"""

import torch
from torch import nn

from ferhpo.models.blocks import Net, activation, conv
from ferhpo.space.config import TrialConfig


class Basic(nn.Module):
    """Two 3x3 convolutions with batch norm beside a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, act: str, *, stride: int) -> None:
        super().__init__()
        self.first = conv(inputs, outputs, act, stride=stride)
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        same = inputs == outputs and stride == 1
        shortcut = () if same else (nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Sequential(*shortcut)
        self.act = activation(act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map B x inputs x S x S to B x outputs x S / stride x S / stride."""
        return self.act(self.second(self.first(x)) + self.shortcut(x))


def resnet18(config: TrialConfig, classes: int, channels: int) -> nn.Module:
    """Return a 7x7 stem, a max pool and four stages of two blocks, `width` to 8 times `width`; 64 is the paper's."""
    w, act = config.width, config.activation
    stem = nn.Conv2d(channels, w, 7, 2, 3, bias=False)
    features = nn.Sequential(stem, nn.BatchNorm2d(w), activation(act), nn.MaxPool2d(3, 2, 1))
    for before, after, stride in ((1, 1, 1), (1, 2, 2), (2, 4, 2), (4, 8, 2)):
        features.append(Basic(before * w, after * w, act, stride=stride))
        features.append(Basic(after * w, after * w, act, stride=1))
    return Net(config, features, 8 * w, classes)
