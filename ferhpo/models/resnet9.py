"""ResNet-9: the small residual net of fast CIFAR training, at two resolutions.

References:
    Page 2018, How to Train Your ResNet (DAWNBench CIFAR-10). Changed here: the pool stands before the batch norm, a
    global average pool with dropout ends it, and the width is free.
"""

from torch import nn

from ferhpo.models.blocks import Net, Residual, conv
from ferhpo.space.config import TrialConfig


def resnet9s(config: TrialConfig, classes: int, channels: int) -> nn.Module:
    """Return the default net: strided stem, then three stages of a convolution and a residual, each at half the size.

    At 48 px and width 32: 160 MMAC an image, 1.94 million parameters.
    """
    w, act = config.width, config.activation
    features = nn.Sequential(
        conv(channels, w, act, stride=2),
        conv(w, 2 * w, act),
        Residual(2 * w, act),
        nn.MaxPool2d(2),
        conv(2 * w, 4 * w, act),
        Residual(4 * w, act),
        nn.MaxPool2d(2),
        conv(4 * w, 8 * w, act),
        Residual(8 * w, act),
    )
    return Net(config, features, 8 * w, classes)


def resnet9(config: TrialConfig, classes: int, channels: int) -> nn.Module:
    """Return ResNet-9 at full resolution: at 48 px and width 32 213 MMAC an image, 1.64 million parameters."""
    w, act = config.width, config.activation
    features = nn.Sequential(
        conv(channels, w, act),
        conv(w, 2 * w, act, pool=True),
        Residual(2 * w, act),
        conv(2 * w, 4 * w, act, pool=True),
        conv(4 * w, 8 * w, act, pool=True),
        Residual(8 * w, act),
    )
    return Net(config, features, 8 * w, classes)
