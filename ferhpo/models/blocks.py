"""What our own nets are made of; `Head` also takes the place of a library's classifier."""

import torch
from torch import nn

from ferhpo.models import necks
from ferhpo.space.config import TrialConfig


def activation(name: str) -> nn.Module:
    """Return GELU (Hendrycks and Gimpel 2016, arXiv 1606.08415), ReLU or SiLU by its setting's name.

    ReLU works in place: neither a norm nor a convolution or linear layer before it needs its output in the backward
    pass, and the other two need their own input.
    """
    return {"gelu": nn.GELU, "relu": lambda: nn.ReLU(inplace=True), "silu": nn.SiLU}[name]()


def conv(inputs: int, outputs: int, act: str, *, stride: int = 1, pool: bool = False) -> nn.Sequential:
    """Return a 3x3 convolution, an optional 2x2 max pool, batch norm and the activation ``act``.

    The pool stands before the norm, so that norm and activation see a quarter of the memory (Jordan 2024, airbench,
    arXiv 2404.00498). ReLU is the default because it is the cheapest, in time and in memory; which activation learns
    better on given images is for a search to tell.
    """
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)]
    if pool:
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.BatchNorm2d(outputs), activation(act))


class Residual(nn.Module):
    """x + conv(conv(x)) at one width (He et al. 2015, Deep Residual Learning, arXiv 1512.03385)."""

    def __init__(self, width: int, act: str) -> None:
        super().__init__()
        self.first = conv(width, width, act)
        self.second = conv(width, width, act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map B x width x S x S to the same shape."""
        return x + self.second(self.first(x))


class Head(nn.Sequential):
    """A classifier with one hidden layer: dropout, linear, activation, dropout, linear.

    Args:
        inputs: pooled features.
        classes: logits an image.
        config: head (hidden units), activation, feature_dropout and dropout are read.
    """

    def __init__(self, inputs: int, classes: int, config: TrialConfig) -> None:
        super().__init__(
            nn.Dropout(config.feature_dropout),
            nn.Linear(inputs, config.head),
            activation(config.activation),
            nn.Dropout(config.dropout),
            nn.Linear(config.head, classes),
        )


class Average(nn.Module):
    """The global average pool, from B x C x S x S to B x C."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the mean over the image."""
        return x.mean((2, 3))


class Net(nn.Module):
    """Features, neck, pool, and the classifier with dropout before it: what all our nets are.

    Args:
        config: neck, head, activation, feature_dropout and dropout are read.
        features: from B x C x S x S to B x channels x s x s.
        channels: that the features end with.
        classes: logits an image.
        pool: from the map to B x outputs; left out, the global average.
        outputs: of ``pool``.
    """

    def __init__(
        self,
        config: TrialConfig,
        features: nn.Module,
        channels: int,
        classes: int,
        *,
        pool: nn.Module | None = None,
        outputs: int | None = None,
    ) -> None:
        super().__init__()
        inputs = outputs or channels
        self.features = features
        self.neck = necks.build(config.neck, channels)
        self.pool = pool or Average()
        self.dropout = nn.Identity() if config.head else nn.Dropout(config.dropout)
        self.classifier = Head(inputs, classes, config) if config.head else nn.Linear(inputs, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map float images B x C x S x S to logits B x classes."""
        return self.classifier(self.dropout(self.pool(self.neck(self.features(x)))))
