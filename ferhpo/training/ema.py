"""Exponential moving average of weights and buffers: what is evaluated and kept in place of the last step's weights."""

import copy

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Ema:
    """A second model that follows the trained one.

    The decay is min(decay, (1 + t) / (10 + t)) at update t, so that the first steps, far from anything, are soon
    forgotten (as TensorFlow's ExponentialMovingAverage does).

    Args:
        model: the trained one, in its final memory format.
        decay: of the average, below 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        for module in self.model.modules():
            if isinstance(module, nn.RNNBase):  # a copy's weights lie apart, which cuDNN would mend at every call
                module.flatten_parameters()
        both = zip(self.model.state_dict().values(), model.state_dict().values(), strict=True)
        pairs = {mine.data_ptr(): (mine, theirs) for mine, theirs in both}.values()  # a tied weight once
        self._mine = [mine for mine, _ in pairs if mine.is_floating_point()]
        self._theirs = [theirs for _, theirs in pairs if theirs.is_floating_point()]
        self._copied = [pair for pair in pairs if not pair[0].is_floating_point()]  # counters

    @torch.no_grad()
    def update(self, t: int) -> None:
        """Move towards the trained model after its step ``t``, counted from 0."""
        keep = min(self.decay, (1 + t) / (10 + t))
        get_ema_multi_avg_fn(keep)(self._mine, self._theirs, t)
        for mine, theirs in self._copied:
            mine.copy_(theirs)
