"""One temperature for the pooled probabilities: fitted after pooling, since calibrated members make no calibrated mean.

References:
    Guo et al. 2017, On Calibration of Modern Neural Networks, arXiv 1706.04599 (temperature scaling).
    Rahaman and Thiery 2020, Uncertainty Quantification and Deep Ensembles, arXiv 2007.08792 (after the averaging).
"""

from dataclasses import replace

import numpy as np

from ferhpo.ensemble.combine import Combination, softmax
from ferhpo.ensemble.folds import Fit, cross_fit, deal
from ferhpo.metrics import EPS

MIN_ROWS = 500  # below, AutoGluon leaves a multiclass ensemble as it is: a temperature would be fitted to noise
INNER = 3  # folds in which pooled probabilities are made that the combination was not fitted to
LOWEST, HIGHEST = 0.05, 20.0  # of a temperature: beyond, probabilities are hard labels or the uniform distribution
STEPS = 60


def temperature(probs_nc: np.ndarray, y_n: np.ndarray) -> float:
    """Return the temperature at which the NLL is lowest, between LOWEST and HIGHEST.

    The NLL is convex in 1 / temperature: Newton's method, kept inside an interval in which its slope changes sign.

    Args:
        probs_nc: rows x classes, of a combination that was not fitted to these rows.
        y_n: class index per row.
    """
    logs_nc = np.log(np.maximum(probs_nc, EPS))
    label = logs_nc[np.arange(len(y_n)), y_n].mean()
    low, high, sharpness = 1 / HIGHEST, 1 / LOWEST, 1.0
    for _ in range(STEPS):
        odds_nc = softmax(sharpness * logs_nc)
        mean_n = (odds_nc * logs_nc).sum(1)
        slope = mean_n.mean() - label
        curvature = ((odds_nc * logs_nc**2).sum(1) - mean_n**2).mean()
        low, high = (sharpness, high) if slope < 0 else (low, sharpness)
        wanted = sharpness - slope / curvature if curvature > 0 else (low + high) / 2
        if not low < wanted < high:
            wanted = (low + high) / 2
        if abs(wanted - sharpness) <= 1e-10 * sharpness:
            break
        sharpness = wanted
    return float(1 / sharpness)


def calibrated(fit: Fit) -> Fit:
    """Return a fit that also finds a temperature, on rows of its own that the combination was not fitted to.

    So scored by `folds.cross_fit` the temperature is nested: no row is scored by one that saw it. Rows of one group
    cannot be parted so, and get none.
    """

    def fit_calibrated(probs_mnc: np.ndarray, y_n: np.ndarray, groups_n: np.ndarray) -> Combination:
        if len(np.unique(groups_n)) < 2:
            return fit(probs_mnc, y_n, groups_n)
        held_nc = cross_fit(fit, probs_mnc, y_n, groups_n, deal(y_n, groups_n, INNER))
        return replace(fit(probs_mnc, y_n, groups_n), temperature=temperature(held_nc, y_n))

    return fit_calibrated
