"""What a classifier is scored by, from probabilities and labels, in numpy alone.

Shapes: ``probs_nc`` is rows x classes, each row a probability vector; ``y_n`` holds class indices.
"""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from ferhpo.errors import UsageError, did_you_mean

EPS = 1e-12  # the smallest probability a log is taken of


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A figure with its direction: nobody has to remember which way is better."""

    name: str
    maximize: bool

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """``"maximize"`` or ``"minimize"``, as Optuna spells it."""
        return "maximize" if self.maximize else "minimize"

    def better(self, a: float, b: float) -> bool:
        """Tell whether ``a`` is strictly better than ``b``."""
        return a > b if self.maximize else a < b


METRICS = {
    m.name: m
    for m in (
        Metric(name="accuracy", maximize=True),
        Metric(name="balanced_accuracy", maximize=True),
        Metric(name="macro_f1", maximize=True),
        Metric(name="nll", maximize=False),
        Metric(name="ece", maximize=False),
    )
}


def metric(name: str) -> Metric:
    """Return the metric called ``name``.

    Raises:
        UsageError: there is none.
    """
    if name not in METRICS:
        msg = f"a metric must be a known one, got '{name}'{did_you_mean(name, METRICS)}"
        raise UsageError(msg)
    return METRICS[name]


def accuracy(probs_nc: np.ndarray, y_n: np.ndarray) -> float:
    """Share of rows whose most probable class is the label (ties: the lowest class index)."""
    return float((probs_nc.argmax(1) == y_n).mean())


def confusion(probs_nc: np.ndarray, y_n: np.ndarray) -> np.ndarray:
    """Count rows by label (first axis) and prediction (second axis), classes x classes."""
    classes = probs_nc.shape[1]
    flat = y_n * classes + probs_nc.argmax(1)
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes)


def balanced_accuracy(probs_nc: np.ndarray, y_n: np.ndarray) -> float:
    """Mean recall over the classes that occur in ``y_n``."""
    table = confusion(probs_nc, y_n)
    rows = table.sum(1)
    seen = rows > 0
    return float((table.diagonal()[seen] / rows[seen]).mean())


def macro_f1(probs_nc: np.ndarray, y_n: np.ndarray) -> float:
    """Mean F1 over the classes that occur as label or prediction."""
    table = confusion(probs_nc, y_n)
    both = table.sum(0) + table.sum(1)
    seen = both > 0
    return float((2 * table.diagonal()[seen] / both[seen]).mean())


def nll(probs_nc: np.ndarray, y_n: np.ndarray) -> float:
    """Mean negative log-likelihood of the labels in nats."""
    picked = probs_nc[np.arange(len(y_n)), y_n]
    return float(-np.log(np.clip(picked, EPS, 1.0)).mean())


def ece(probs_nc: np.ndarray, y_n: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of the top class over ``bins`` equal-width bins.

    References:
        Guo et al. 2017, On Calibration of Modern Neural Networks, arXiv 1706.04599.
    """
    confidence = probs_nc.max(1)
    right = probs_nc.argmax(1) == y_n
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = np.bincount(index, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(y_n))


def wilson(share: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval for a share seen over ``n`` rows.

    References:
        Wilson 1927, Probable Inference, the Law of Succession, and Statistical Inference.

    >>> [round(x, 3) for x in wilson(0.73, 3589)]
    [0.715, 0.744]
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def figures(probs_nc: np.ndarray, y_n: np.ndarray) -> dict[str, float]:
    """Return every metric of METRICS by name.

    Args:
        probs_nc: rows x classes, float, rows sum to 1.
        y_n: int class index per row, at least one row.
    """
    return {
        "accuracy": accuracy(probs_nc, y_n),
        "balanced_accuracy": balanced_accuracy(probs_nc, y_n),
        "macro_f1": macro_f1(probs_nc, y_n),
        "nll": nll(probs_nc, y_n),
        "ece": ece(probs_nc, y_n),
    }


def scored(probs_nc: np.ndarray, y_n: np.ndarray) -> dict[str, Any]:
    """Return `figures` and ``ci95``, Wilson's interval of the accuracy; arguments as `figures`."""
    found = figures(probs_nc, y_n)
    return {**found, "ci95": list(wilson(found["accuracy"], len(y_n)))}
