"""Plain CNNs: convolutions, then dense layers over the flattened map, so that each has the image size it was built for.

References:
    LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition, is where the form is from; the four nets
    are those of `studies/starting_points`, which tell what each was described as.
"""

from math import ceil

from torch import nn

from ferhpo.models.blocks import Net, activation, conv
from ferhpo.space.config import TrialConfig


def _layer(inputs: int, outputs: int, act: str) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1), activation(act)


def _pool() -> nn.Module:
    return nn.MaxPool2d(2, ceil_mode=True)  # no image is too small


def _flat(config: TrialConfig, channels: int, pools: int) -> int:
    """Return the values of a map after ``pools`` pools."""
    return channels * ceil(config.image_size / 2**pools) ** 2


def shallow_cnn(config: TrialConfig, classes: int, channels: int) -> nn.Module:
    """Return two 3x3 convolutions, `width` and 2 times `width`, at full resolution, and the classifier on their map."""
    w, act = config.width, config.activation
    features = nn.Sequential(*_layer(channels, w, act), *_layer(w, 2 * w, act))
    return Net(config, features, 2 * w, classes, pool=nn.Flatten(), outputs=_flat(config, 2 * w, 0))


def improved_cnn(config: TrialConfig, classes: int, channels: int) -> nn.Module:
    """Return three 3x3 convolutions, `width` to 4 times `width`, with a 2x2 max pool after each."""
    w, act = config.width, config.activation
    features = nn.Sequential()
    for inputs, outputs in ((channels, w), (w, 2 * w), (2 * w, 4 * w)):
        features.extend([*_layer(inputs, outputs, act), _pool()])
    return Net(config, features, 4 * w, classes, pool=nn.Flatten(), outputs=_flat(config, 4 * w, 3))


def deep_cnn(config: TrialConfig, classes: int, channels: int) -> nn.Module:
    """Return three stages of two 3x3 convolutions with batch norm, `width` to 4 times `width`, a pool after each."""
    w, act = config.width, config.activation
    features = nn.Sequential()
    for inputs, outputs in ((channels, w), (w, 2 * w), (2 * w, 4 * w)):
        features.extend([conv(inputs, outputs, act), conv(outputs, outputs, act), _pool()])
    return Net(config, features, 4 * w, classes, pool=nn.Flatten(), outputs=_flat(config, 4 * w, 3))


def ensemble_cnn(config: TrialConfig, classes: int, channels: int) -> nn.Module:
    """Return four 3x3 convolutions with a max pool after each, and dense layers of 32 and 128 times `width`.

    Width 32: 32, 32, 64 and 64 filters, dense layers of 1024 and 4096.
    """
    w, act = config.width, config.activation
    features = nn.Sequential()
    for inputs, outputs in ((channels, w), (w, w), (w, 2 * w), (2 * w, 2 * w)):
        features.extend([*_layer(inputs, outputs, act), _pool()])
    first = nn.Linear(_flat(config, 2 * w, 4), 32 * w)
    dense = nn.Sequential(nn.Flatten(), first, activation(act), nn.Linear(32 * w, 128 * w), activation(act))
    return Net(config, features, 2 * w, classes, pool=dense, outputs=128 * w)
