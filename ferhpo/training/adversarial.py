"""Attacked images: each moved as far as it may be in the direction that raises the loss, for training and for testing.

An attack acts on the pixels that the net sees, after scaling and augmentation; a pixel keeps to what an image can hold.
"""

from collections.abc import Callable

import torch
from torch import nn

from ferhpo.space.config import TrialConfig
from ferhpo.training.images import Preprocessing, by_channel

REACH = 2.5  # how often the steps of an attack could cross its radius, as in the paper
TEST_STEPS = 10  # of the attack that robust accuracy is under
TEST_ROWS = 1024  # validation rows that are attacked, spread evenly, so that the cost does not grow with the set


class Attack:
    """A fast gradient sign step, or several, each followed by a projection onto what is allowed.

    Args:
        preprocessing: tells how far a normalised pixel may move, and between which values.
        epsilon: largest change of a pixel, images scaled to 0..1.
        steps: 1 is FGSM; more are PGD, each of 2.5 epsilon / steps.
        start: begin at a random place within epsilon, drawn from torch's global generator.

    References:
        Goodfellow et al. 2015, Explaining and Harnessing Adversarial Examples, arXiv 1412.6572 (FGSM); Madry et al.
        2018, Towards Deep Learning Models Resistant to Adversarial Attacks, arXiv 1706.06083 (PGD).
    """

    def __init__(self, preprocessing: Preprocessing, epsilon: float, steps: int, *, start: bool) -> None:
        self._mean, self._std = preprocessing.mean, preprocessing.std
        self._epsilon, self._steps, self._start = epsilon, steps, start

    def __call__(self, x: torch.Tensor, loss: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Return attacked images.

        Args:
            x: normalised images B x C x S x S; left as they are.
            loss: of such images, a scalar that the attack raises; a gradient that is not finite moves nothing.
        """
        mean, std = (by_channel(values, x.device) for values in (self._mean, self._std))
        radius = self._epsilon / std
        low, high = torch.maximum(x - radius, -mean / std), torch.minimum(x + radius, (1 - mean) / std)
        step = radius if self._steps == 1 else REACH / self._steps * radius
        found = x
        if self._start:
            found = (x + radius * (2 * torch.rand_like(x) - 1)).clamp(low, high)
        for _ in range(self._steps):
            seen = found.detach().requires_grad_()
            with torch.enable_grad():
                (slope,) = torch.autograd.grad(loss(seen), seen)
            found = (found + step * slope.nan_to_num_(0.0).sign_()).clamp(low, high)
        return found.detach()


def of_training(config: TrialConfig, preprocessing: Preprocessing) -> Attack | None:
    """Return the attack that a config trains under, None without."""
    if config.adversarial == "none":
        return None
    pgd = config.adversarial == "pgd"
    steps = config.adversarial_steps if pgd else 1
    return Attack(preprocessing, config.adversarial_epsilon, steps, start=pgd)


def passes(config: TrialConfig) -> float:
    """Return how many passes forward and back an update takes, about: one, and one a step over what is attacked."""
    steps = {"none": 0, "fgsm": 1, "pgd": config.adversarial_steps}[config.adversarial]
    return 1 + steps * config.adversarial_share


def of_testing(config: TrialConfig, preprocessing: Preprocessing) -> Attack:
    """Return the attack that robust accuracy is under: PGD, whatever a config trained with, so figures compare."""
    return Attack(preprocessing, config.adversarial_epsilon, TEST_STEPS, start=True)


def still(model: nn.Module) -> None:
    """Set a model to evaluation, so that attacks leave its norms as they are; `registry.train_mode` goes back.

    Recurrent layers stay in training, without which a GPU gives them no gradient; those here drop nothing.
    """
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module.train()
