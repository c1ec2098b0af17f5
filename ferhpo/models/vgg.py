"""VGG: plain stacks of 3x3 convolutions.

References:
    Simonyan and Zisserman 2014, Very Deep Convolutional Networks, arXiv 1409.1556; Khaireddin and Chen 2021, Facial
    Emotion Recognition: State of the Art Performance on FER2013, arXiv 2105.03588 (four stages of two). Changed here:
    batch norm, a global average pool in place of the wide fully connected layers.
"""

from torch import nn

from ferhpo.models.blocks import Net, conv
from ferhpo.space.config import TrialConfig


def vgg8(config: TrialConfig, classes: int, channels: int) -> nn.Module:
    """Return four stages of two convolutions, `width` to 8 times `width`, with a pool between the stages."""
    w, act = config.width, config.activation
    features = nn.Sequential(
        conv(channels, w, act),
        conv(w, w, act, pool=True),
        conv(w, 2 * w, act),
        conv(2 * w, 2 * w, act, pool=True),
        conv(2 * w, 4 * w, act),
        conv(4 * w, 4 * w, act, pool=True),
        conv(4 * w, 8 * w, act),
        conv(8 * w, 8 * w, act),
    )
    return Net(config, features, 8 * w, classes)
