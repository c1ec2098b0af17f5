"""Training losses, all from logits and target distributions, so that mixup's soft targets need no second form.

Shapes: ``counts_c`` training rows per class; ``logits_bc``, ``targets_bc`` batch x classes, targets sum to 1 a row;
``targets_b2c`` the label's and a teacher's distribution.
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
    the targets, for label_smoothing (1 - s) t + s / classes (Szegedy et al. 2015, arXiv 1512.00567). kl takes t log t
    from it: the Kullback-Leibler divergence from soft labels, with cross entropy's gradient and 0 at its best.

    With ``logit_adjustment`` tau the net's logits are added tau log(share of the class among the training rows), in the
    loss alone, so that a prediction without them favours rare classes (Menon et al. 2020, arXiv 2007.07314).

    With ``distill`` it takes targets_b2c, and a teacher's share T^2 times the cross entropy at temperature T is added,
    so that its gradient keeps its size (Hinton et al. 2015, arXiv 1503.02531).
    """
    weights_c = class_weights(config, counts_c)
    smoothing = config.smoothing if config.loss == "label_smoothing" else 0.0
    gamma = config.focal_gamma if config.loss == "focal" else 0.0
    shift_c = config.logit_adjustment * (counts_c.double() / counts_c.sum()).log().float()

    def loss(logits_bc: torch.Tensor, targets_bc: torch.Tensor) -> torch.Tensor:
        logits = logits_bc.float() + shift_c if config.logit_adjustment else logits_bc.float()
        log_p = torch.log_softmax(logits, 1)
        targets = targets_bc
        if smoothing:
            targets = targets * (1 - smoothing) + smoothing / targets.shape[1]
        terms = targets * weights_c * log_p
        if gamma:
            terms = terms * (-torch.expm1(log_p)).clamp_min(1e-12) ** gamma  # above 0: the power's slope stays finite
        if config.loss == "kl":
            terms = terms - weights_c * torch.xlogy(targets, targets)
        return -terms.sum(1).mean()

    def distilled(logits_bc: torch.Tensor, targets_b2c: torch.Tensor) -> torch.Tensor:
        labels, teacher = targets_b2c.unbind(1)
        log_p = torch.log_softmax(logits_bc.float() / config.temperature, 1)
        soft = -(teacher * log_p).sum(1).mean() * config.temperature**2
        return torch.lerp(loss(logits_bc, labels), soft, config.distill)

    return distilled if config.distill else loss
