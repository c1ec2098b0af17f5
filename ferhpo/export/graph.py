"""A whole ensemble as one torch module, from uint8 images to probabilities: what is exported and quantised."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ferhpo.ensemble.combine import FLOOR, Combination
from ferhpo.ensemble.infer import Ensemble, views
from ferhpo.metrics import EPS
from ferhpo.training.images import Preprocessing
from ferhpo.training.predict import View, moved


class Member(nn.Module):
    """One net from uint8 images to probabilities averaged over its views.

    Args:
        model: the net, in evaluation mode.
        card: its model.json.
        tta: name of its views.
    """

    factor: torch.Tensor
    offset: torch.Tensor
    resize: torch.Tensor | None

    def __init__(self, model: nn.Module, card: Mapping[str, Any], tta: str) -> None:
        super().__init__()
        preprocessing = Preprocessing.from_json(dict(card["preprocessing"]))
        self.model = model.float()
        self.views: tuple[View, ...] = views(tta, preprocessing)
        mean, std = (
            torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (preprocessing.mean, preprocessing.std)
        )
        self.register_buffer("factor", (1 / (255 * std)).float())
        self.register_buffer("offset", (-mean / std).float())
        self.register_buffer("resize", _resize(preprocessing.stored_size, preprocessing.image_size))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map uint8 B x C x S x S to B x classes."""
        seen = []
        for mirrored, down, right in self.views:
            x = moved(images, down, right).float()
            if self.resize is not None:
                x = self.resize @ x @ self.resize.T
            seen.append(x.flip(3) if mirrored else x)
        x = torch.cat(seen) * self.factor + self.offset
        probs = self.model(x).softmax(1)
        return probs.reshape(len(seen), -1, probs.shape[1]).mean(0)


class Graph(nn.Module):
    """An ensemble from uint8 images, rows x stored_size x stored_size x channels, to probabilities, rows x classes.

    Args:
        ensemble: on the CPU; its nets become parts of this module.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__()
        pairs = zip(ensemble.models, ensemble.cards, strict=True)
        self.members = nn.ModuleList(Member(model, card, ensemble.tta) for model, card in pairs)
        self.combine = Combine(ensemble.combination)
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images to probabilities, both as the class says."""
        nchw = images.permute(0, 3, 1, 2)
        return self.combine(torch.stack([member(nchw) for member in self.members]))


class Combine(nn.Module):
    """`combine.Combination.predict` in float32: its three rules and the temperature, in torch."""

    weights: torch.Tensor
    coef: torch.Tensor
    bias: torch.Tensor

    def __init__(self, combination: Combination) -> None:
        super().__init__()
        self.rule, self.temperature = combination.rule, combination.temperature
        self.voters = int((combination.weights_m > 0).sum())
        self.register_buffer("weights", torch.from_numpy(combination.weights_m).float())
        if combination.meta is not None:
            self.register_buffer("coef", torch.from_numpy(combination.meta.coef_cmk).float())
            self.register_buffer("bias", torch.from_numpy(combination.meta.bias_c).float())

    def forward(self, probs_mnc: torch.Tensor) -> torch.Tensor:
        """Map members x rows x classes to rows x classes."""
        if self.rule == "log-linear":
            logs = probs_mnc.clamp_min(FLOOR).log()
            logs = logs - logs.mean(2, keepdim=True)
            pooled = (torch.einsum("mnk,cmk->nc", logs, self.coef) + self.bias).softmax(1)
        else:
            pooled = self._mean(probs_mnc)
            if self.rule == "vote":
                votes = functional.one_hot(probs_mnc.argmax(2), probs_mnc.shape[2]).float()
                pooled = (self.voters * self._mean(votes) + pooled) / (self.voters + 1)
        if self.temperature == 1:
            return pooled
        return (pooled.clamp_min(EPS).log() / self.temperature).softmax(1)

    def _mean(self, values_mnc: torch.Tensor) -> torch.Tensor:
        return (values_mnc * self.weights[:, None, None]).sum(0)


def _resize(stored: int, seen: int) -> torch.Tensor | None:
    """Return the seen x stored matrix that scales an axis as `Preprocessing.scaled` does, None if they are equal.

    Scaling is linear and separable, so it is what it does to unit images; runtimes agree on a product of matrices, and
    not on antialiased scaling.
    """
    if stored == seen:
        return None
    units = torch.eye(stored)[None, None].expand(1, 1, stored, stored)
    wide = functional.interpolate(units, (seen, stored), mode="bilinear", antialias=True)
    return wide[0, 0]
