"""Muon: momentum whose update has all its singular values near 1, for convolution filters; AdamW for what is left."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import torch

from ferhpo.training.eager import AdamW, Eager

A, B, C = 3.4445, -4.7750, 2.0315  # Jordan's quintic: steepest at 0, singular values end between about 0.7 and 1.2
STEPS = 5
RMS = 0.2  # of an update's elements: about that of AdamW, so that one learning rate serves both


class Muon(Eager):
    """One optimiser over two kinds of weights.

    A filter of shape out x in x k x k is taken as a matrix out x (in k k).

    Args:
        filters: weights of convolutions.
        groups: AdamW's parameter groups, for all other weights.
        lr: of both, in AdamW's scale.
        momentum: of the filters, Nesterov's form.
        weight_decay: of the filters, decoupled.
        dtype: in which the matrices are multiplied; bfloat16 is enough where it is fast.

    References:
        Jordan et al. 2024, Muon: An optimizer for hidden layers in neural networks (kellerjordan.github.io/posts/muon);
        Liu et al. 2025, Muon is Scalable for LLM Training, arXiv 2502.16982 (the scale of the update).
    """

    def __init__(
        self,
        filters: list[torch.Tensor],
        groups: list[dict[str, Any]],
        lr: float,
        *,
        momentum: float,
        weight_decay: float,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        own = [{"params": filters, "weight_decay": weight_decay}] if filters else []
        super().__init__([*own, *groups], {"lr": lr})
        self._filters = self.param_groups[: len(own)]
        self._momentum, self._dtype = momentum, dtype
        self._rest = AdamW(self.param_groups[len(own) :], lr, fused=True) if groups else None
        if self._rest is not None:  # one state and one list of groups, whoever looks
            self.param_groups = [*self._filters, *self._rest.param_groups]
            self._rest.state = self.state

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update every weight that has a gradient."""
        assert closure is None
        for group in self._filters:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group["lr"], group["weight_decay"])
        if self._rest is not None:
            self._rest.step()

    def _move(self, weight: torch.Tensor, gradient: torch.Tensor, lr: float, decay: float) -> None:
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        velocity = state["momentum_buffer"].lerp_(gradient, 1 - self._momentum)
        update = gradient.lerp(velocity, self._momentum)
        matrix = orthogonal(update.flatten(1), self._dtype)
        scale = RMS * sqrt(max(matrix.shape))
        weight.mul_(1 - lr * decay).add_(matrix.view(weight.shape), alpha=-lr * scale)


def orthogonal(matrix: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return a matrix with the singular vectors of ``matrix`` and singular values near 1, by Newton-Schulz steps.

    Args:
        matrix: m x n, of any scale; zeros stay zeros.
        dtype: of the result and of the products.
    """
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T
    x = (x / x.norm().clamp_min(1e-30)).to(dtype)  # scaled first: a small gradient would be 0 in float16
    for _ in range(STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=B, alpha=C), x, beta=A)
    return x if wide else x.T
