"""Optimisers of a config, fused: one kernel over all weights a step, on CPU as on CUDA."""

import torch
from torch import nn

from ferhpo.space.config import TrialConfig


def build(model: nn.Module, config: TrialConfig) -> torch.optim.Optimizer:
    """Return the optimiser over the weights that train; weight decay spares norms, biases and what a timm net names.

    Args:
        model: on its device already.
        config: optimizer, lr, momentum and weight_decay are read.
    """
    said = getattr(model, "no_weight_decay", None)
    spared: set[str] = set(said()) if callable(said) else set()  # pyright: ignore[reportArgumentType]
    decayed, free = [], []
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            (free if weight.ndim < 2 or name in spared else decayed).append(weight)
    groups = [
        {"params": weights, "weight_decay": decay}
        for weights, decay in ((decayed, config.weight_decay), (free, 0.0))
        if weights
    ]
    match config.optimizer:
        case "sgd":
            return torch.optim.SGD(groups, config.lr, config.momentum, nesterov=config.momentum > 0, fused=True)
        case "adam":
            return torch.optim.Adam(groups, config.lr, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, config.lr, fused=True)
    raise AssertionError(config.optimizer)  # TrialConfig has refused it


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def dump(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return the optimiser's tensors by `INDEX/NAME`, the index counting the weights of all groups."""
    return {
        f"{i}/{key}": value
        for i, weight in enumerate(_weights(optimizer))
        for key, value in optimizer.state.get(weight, {}).items()
        if isinstance(value, torch.Tensor)
    }


def load(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Put back what `dump` returned, in the memory layout of the weights, which fused kernels rely on.

    Raises:
        KeyError, RuntimeError: the tensors are of another model.
    """
    weights = _weights(optimizer)
    for name, value in tensors.items():
        index, _, key = name.partition("/")
        weight = weights[int(index)]
        like = weight if value.ndim else torch.empty((), dtype=value.dtype, device=weight.device)
        optimizer.state[weight][key] = torch.empty_like(like, requires_grad=False).copy_(value)


def _weights(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]
