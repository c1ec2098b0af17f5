"""Training losses, all from logits and target distributions, so that mixup's soft targets need no second form.

Shapes: ``counts_c`` training rows per class; ``logits_bc``, ``targets_bc`` batch x classes, targets sum to 1 a row.
"""

from collections.abc import Callable

import torch

from ferhpo.space.config import TrialConfig

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def class_weights(config: TrialConfig, counts_c: torch.Tensor) -> torch.Tensor:
    """Return one weight a class, scaled so that their mean over the training rows is 1: a learning rate means the same.

    none: 1; inverse: 1/n; sqrt: 1/sqrt(n); for the class_balanced loss (1 - beta) / (1 - beta^n).

    References:
        Cui et al. 2019, Class-Balanced Loss Based on Effective Number of Samples, arXiv 1901.05555. Changed here:
        scaled to mean 1 over rows, where the paper's sum to the number of classes.
    """
    n = counts_c.double()
    if config.loss == "class_balanced":
        weights = (1 - config.balance_beta) / (1 - config.balance_beta**n)
    else:
        power = {"none": 0.0, "sqrt": 0.5, "inverse": 1.0}[config.class_weighting]
        weights = n**-power
    return (weights * n.sum() / (weights * n).sum()).float()


def build(config: TrialConfig, counts_c: torch.Tensor) -> Loss:
    """Return the loss of a config: a mean over the batch of -sum_k t_k w_k f(p_k) log p_k.

    f is 1, for focal (1 - p)^gamma (Lin et al. 2017, Focal Loss for Dense Object Detection, arXiv 1708.02002); t are
    the targets, for label_smoothing (1 - s) t + s / classes (Szegedy et al. 2015, arXiv 1512.00567).
    """
    weights_c = class_weights(config, counts_c)
    smoothing = config.smoothing if config.loss == "label_smoothing" else 0.0
    gamma = config.focal_gamma if config.loss == "focal" else 0.0

    def loss(logits_bc: torch.Tensor, targets_bc: torch.Tensor) -> torch.Tensor:
        log_p = torch.log_softmax(logits_bc.float(), 1)
        targets = targets_bc
        if smoothing:
            targets = targets * (1 - smoothing) + smoothing / targets.shape[1]
        terms = targets * weights_c * log_p
        if gamma:
            terms = terms * (-torch.expm1(log_p)).clamp_min(1e-12) ** gamma  # above 0: the power's slope stays finite
        return -terms.sum(1).mean()

    return loss
