"""A teacher's probabilities as soft labels of the training rows."""

import hashlib

import numpy as np
import torch

from ferhpo.errors import DataError, UsageError
from ferhpo.space.config import TrialConfig


def soft_labels(config: TrialConfig, teacher: np.ndarray | None, rows: int, classes: int) -> torch.Tensor | None:
    """Return a teacher's probabilities at the config's temperature, p^(1/T) scaled to sum 1; None without distillation.

    Args:
        config: distill and temperature are read.
        teacher: float32 rows x classes, each row a distribution.
        rows: training images.
        classes: of the data.

    Raises:
        UsageError: the config distils and there is no teacher.
        DataError: the teacher's array is not as it must be.

    References:
        Hinton et al. 2015, Distilling the Knowledge in a Neural Network, arXiv 1503.02531. A softmax at temperature T
        is p^(1/T) scaled, so probabilities serve where logits are not to be had.
    """
    if not config.distill:
        return None
    if teacher is None:
        msg = f"distill needs a teacher's probabilities, got distill={config.distill:g} without; run `ferhpo distill`"
        raise UsageError(msg)
    if teacher.shape != (rows, classes):
        msg = f"a teacher must give {rows} training images x {classes} classes, got {teacher.shape}; predict them again"
        raise DataError(msg)
    if not (np.isfinite(teacher).all() and (teacher >= 0).all() and np.abs(teacher.sum(1) - 1).max() < 1e-3):
        msg = "a teacher's probabilities must be at least 0 and sum to 1 an image, got others; predict them again"
        raise DataError(msg)
    log_p = torch.from_numpy(np.ascontiguousarray(teacher, np.float32)).clamp_min(1e-12).log()
    return torch.softmax(log_p / config.temperature, 1)


def fingerprint(soft: torch.Tensor | None) -> str | None:
    """Return the SHA-256 of soft labels, None for none."""
    return None if soft is None else hashlib.sha256(soft.numpy().tobytes()).hexdigest()
