"""One net whose weights are the mean of several that began alike.

References:
    Wortsman et al. 2022, Model soups, arXiv 2203.05482. Izmailov et al. 2018, Averaging Weights Leads to Wider Optima
    and Better Generalization, arXiv 1803.05407 (batch norm statistics are computed anew for the mean).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ferhpo._seeding import derive
from ferhpo.data.cache import Prepared
from ferhpo.models import registry
from ferhpo.space.config import TrialConfig
from ferhpo.training.images import Preprocessing, Rows
from ferhpo.training.predict import load_model

ROWS = 4096  # training images that batch norm statistics are computed from
BATCH = 128


def averaged(folders: Sequence[Path], data: Prepared, device: str = "cpu") -> nn.Module:
    """Return the mean of checkpoints, in evaluation mode, its batch norm statistics computed on training rows.

    The norms of a base that all of them kept frozen stay as they are: they are the same in each.

    Args:
        folders: checkpoints of one architecture.
        data: the images they were trained on.
        device: cpu or cuda[:n].

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    model, card = load_model(folders[0], device)
    loaded = [load_model(folder, device) for folder in folders]
    states = [one.state_dict() for one, _ in loaded]
    with torch.no_grad():
        for name, mine in model.state_dict().items():
            if mine.is_floating_point():
                mine.copy_(torch.stack([state[name] for state in states]).mean(0))
    if all(registry.is_frozen(TrialConfig.from_params(one["config"])) for _, one in loaded):
        registry.freeze(model)
    _renew(model, data, Preprocessing.from_json(card["preprocessing"]), device)
    return model.requires_grad_(True)


@torch.no_grad()
def _renew(model: nn.Module, data: Prepared, preprocessing: Preprocessing, device: str) -> None:
    """Compute the running means and variances of the batch norms that train anew; all else is in evaluation mode."""
    registry.train_mode(model)
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]  # noqa: SLF001
    norms = [norm for norm in norms if norm.track_running_stats]
    model.eval()
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    train = data.part("train").rows
    # mixed, since rows often lie by class, and batches of one class have less variance than all together
    rows = train[np.random.default_rng(derive(0, "average")).permutation(len(train))[:ROWS]]
    source = Rows(data.images, rows, device)
    for positions in torch.arange(len(source)).tensor_split(-(-len(source) // BATCH)):  # as large as each other
        model(preprocessing.normalise(preprocessing.scaled(source.take(positions))))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
