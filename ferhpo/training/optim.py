"""Optimisers of a config, fused: one kernel over all weights a step, on CPU as on CUDA."""

import torch
from torch import nn

from ferhpo.space.config import TrialConfig
from ferhpo.training import eager
from ferhpo.training.muon import Muon


def build(model: nn.Module, config: TrialConfig, dtype: torch.dtype = torch.float32) -> torch.optim.Optimizer:
    """Return the optimiser over the weights that train; weight decay spares norms, biases and what a timm net names.

    Args:
        model: on its device already.
        config: optimizer, lr, momentum and weight_decay are read.
        dtype: of the training step: Muon multiplies in it; with float16 a step may be left out.
    """
    said = getattr(model, "no_weight_decay", None)
    spared: set[str] = set(said()) if callable(said) else set()  # pyright: ignore[reportArgumentType]
    decayed, free = [], []
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            (free if weight.ndim < 2 or name in spared else decayed).append(weight)
    filters = _filters(model) if config.optimizer == "muon" else []
    own = {id(weight) for weight in filters}
    groups = [
        {"params": weights, "weight_decay": decay}
        for weights, decay in (([w for w in decayed if id(w) not in own], config.weight_decay), (free, 0.0))
        if weights
    ]
    match config.optimizer:
        case "sgd":
            # fp16 may leave out the first step; fused SGD would then read a momentum that was never written
            fused = None if dtype == torch.float16 else True
            return eager.SGD(groups, config.lr, config.momentum, nesterov=config.momentum > 0, fused=fused)
        case "adam":
            return eager.Adam(groups, config.lr, fused=True)
        case "adamw":
            return eager.AdamW(groups, config.lr, fused=True)
        case "muon":
            decay, momentum = config.weight_decay, config.momentum
            return Muon(filters, groups, config.lr, momentum=momentum, weight_decay=decay, dtype=dtype)
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
    """Put back what `dump` returned, as the whole state, in the weights' memory layout, which fused kernels rely on.

    Raises:
        KeyError, RuntimeError: the tensors are of another model.
    """
    weights = _weights(optimizer)
    fused = {id(weight) for group in optimizer.param_groups if group.get("fused") for weight in group["params"]}
    optimizer.state.clear()
    for name, value in tensors.items():
        index, _, key = name.partition("/")
        weight = weights[int(index)]
        like = weight
        if key == "step":  # fused kernels read it on the device; others on the host, where they would wait for a GPU
            like = torch.empty((), dtype=value.dtype, device=weight.device if id(weight) in fused else "cpu")
        optimizer.state[weight][key] = torch.empty_like(like, requires_grad=False).copy_(value)


def _weights(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def _filters(model: nn.Module) -> list[torch.Tensor]:
    """Return the filters that train, but for grouped ones: a depthwise filter maps no channels to channels."""
    convolutions = (m for m in model.modules() if isinstance(m, nn.Conv2d) and m.groups == 1)
    return [m.weight for m in convolutions if m.weight.requires_grad]
