"""A plain CNN whose every stage ends with attention.

References:
    Woo et al. 2018, CBAM: Convolutional Block Attention Module, arXiv 1807.06521.
"""

from torch import nn

from ferhpo.models.blocks import Net, conv
from ferhpo.models.necks import CBAM
from ferhpo.space.config import TrialConfig


def cbam_cnn(config: TrialConfig, classes: int, channels: int) -> nn.Module:
    """Return four 3x3 convolutions, `width` to 8 times `width`, a CBAM after each, pools between them."""
    w = config.width
    widths = (channels, w, 2 * w, 4 * w, 8 * w)
    features = nn.Sequential()
    for stage in range(4):
        features.append(conv(widths[stage], widths[stage + 1], config.activation, pool=stage < 3))
        features.append(CBAM(widths[stage + 1]))
    return Net(config, features, 8 * w, classes)
