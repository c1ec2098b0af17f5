"""What a search can aim at: figures of a classifier, from probabilities and labels in numpy alone, and a net's costs.

Shapes: ``probs_nc`` is rows x classes, each row a probability vector; ``y_n`` holds class indices.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ferhpo.errors import UsageError, did_you_mean

EPS = 1e-12  # the smallest probability a log is taken of
BINS = 15  # of the calibration error


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A figure with its direction: nobody has to remember which way is better."""

    name: str
    maximize: bool

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """``"maximize"`` or ``"minimize"``, as Optuna spells it."""
        return "maximize" if self.maximize else "minimize"

    @property
    def perfect(self) -> float:
        """The best value there can be: what is better when higher is a share, all else is an error or a cost."""
        return 1.0 if self.maximize else 0.0

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
COST_METRICS = {  # of the net itself, whatever it learns
    m.name: m
    for m in (
        Metric(name="params", maximize=False),
        Metric(name="latency_ms", maximize=False),
        Metric(name="memory_mib", maximize=False),
    )
}
QUANTITIES = METRICS | COST_METRICS  # what a study can aim at, or hold to a limit
SHARES = ("accuracy", "balanced_accuracy", "macro_f1", "ece")  # from 0 to 1


def metric(name: str) -> Metric:
    """Return the metric called ``name``.

    Raises:
        UsageError: there is none.
    """
    return _known(name, METRICS)


def quantity(name: str) -> Metric:
    """Return the metric or the cost called ``name``.

    Raises:
        UsageError: there is none.
    """
    return _known(name, QUANTITIES)


def _known(name: str, among: Mapping[str, Metric]) -> Metric:
    if name not in among:
        msg = f"a metric must be a known one, got '{name}'{did_you_mean(name, among)}"
        raise UsageError(msg)
    return among[name]


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


def ece(probs_nc: np.ndarray, y_n: np.ndarray) -> float:
    """Expected calibration error of the top class over BINS equal-width bins.

    References:
        Guo et al. 2017, On Calibration of Modern Neural Networks, arXiv 1706.04599.
    """
    confidence = probs_nc.max(1)
    right = probs_nc.argmax(1) == y_n
    index = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gap = np.bincount(index, weights=right - confidence, minlength=BINS)
    return float(np.abs(gap).sum() / len(y_n))


def brier(probs_nc: np.ndarray, y_n: np.ndarray) -> float:
    """Mean over rows of the squared distance to the one-hot label, 0 to 2 (Brier 1950)."""
    return float(((probs_nc - np.eye(probs_nc.shape[1])[y_n]) ** 2).sum(1).mean())


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
