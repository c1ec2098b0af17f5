"""One temperature, fitted after pooling: a mean of calibrated members is not itself calibrated.

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


def temperature(probs_nc: np.ndarray, y_n: np.ndarray) -> float:
    """Return the temperature at which the NLL is lowest, between LOWEST and HIGHEST.

    The NLL is convex in 1 / temperature, so it is lowest where its slope is 0, or at an end if that is nowhere.

    Args:
        probs_nc: rows x classes, of a combination that was not fitted to these rows.
        y_n: class index per row.
    """
    from scipy.optimize import root_scalar

    logs_nc = np.log(np.maximum(probs_nc, EPS))
    label = logs_nc[np.arange(len(y_n)), y_n].mean()

    def slope(sharpness: float) -> float:
        return float((softmax(sharpness * logs_nc) * logs_nc).sum(1).mean() - label)

    low, high = 1 / HIGHEST, 1 / LOWEST
    if slope(low) >= 0:
        return HIGHEST
    if slope(high) <= 0:
        return LOWEST
    return 1 / float(root_scalar(slope, bracket=(low, high)).root)


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
