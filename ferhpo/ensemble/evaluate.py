"""What a combination is worth: scored on rows its fit did not see, and set beside the others."""

from collections.abc import Callable, Mapping
from math import sqrt

import numpy as np

from ferhpo import metrics
from ferhpo.ensemble.combine import Combination, fit_majority, fit_uniform
from ferhpo.ensemble.select import fit_greedy
from ferhpo.ensemble.stack import fit_logistic, fit_weighted

Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], Combination]  # (probs_mnc, y_n, groups_n)
TIE = 1e-9  # one row won is one standard error exactly; rounding must not make it more

METHODS: Mapping[str, Fit] = {  # from the simplest to the one with most to fit: the order that `choose` prefers
    "uniform": fit_uniform,
    "majority": fit_majority,
    "weighted": fit_weighted,
    "greedy": fit_greedy,
    "logistic": fit_logistic,
}


def cross_fit(fit: Fit, probs_mnc: np.ndarray, y_n: np.ndarray, groups_n: np.ndarray, fold_n: np.ndarray) -> np.ndarray:
    """Return ``probs_nc`` in which every row comes from a fit to the other folds' rows.

    Args:
        fit: one of METHODS.
        probs_mnc: members x rows x classes.
        y_n: class index per row.
        groups_n: equal numbers for identical images.
        fold_n: the fold of each row, from `folds.deal`.
    """
    held_nc = np.empty(probs_mnc.shape[1:])
    for fold in np.unique(fold_n):
        seen, held = fold_n != fold, fold_n == fold
        held_nc[held] = fit(probs_mnc[:, seen], y_n[seen], groups_n[seen]).predict(probs_mnc[:, held])
    return held_nc


def row_scores(metric: str, probs_nc: np.ndarray, y_n: np.ndarray) -> np.ndarray:
    """Return one score per row, higher is better, whose mean is the metric.

    macro_f1 and ece are no means over rows: their nearest relatives stand in, balanced accuracy and NLL.
    """
    if metric in {"nll", "ece"}:
        return np.log(np.maximum(probs_nc[np.arange(len(y_n)), y_n], metrics.EPS))
    right_n = (probs_nc.argmax(1) == y_n).astype(float)
    if metric == "accuracy":
        return right_n
    rows_c = np.bincount(y_n)
    return right_n * len(y_n) / (rows_c[y_n] * np.count_nonzero(rows_c))


def choose(held: Mapping[str, np.ndarray], y_n: np.ndarray, groups_n: np.ndarray, metric: str) -> str:
    """Return the simplest method within one paired standard error of the best.

    Args:
        held: cross-fitted ``probs_nc`` by method.
        y_n: class index per row.
        groups_n: equal numbers for identical images, which count as one observation in the standard error.
        metric: the study's.

    References:
        Breiman, Friedman, Olshen, Stone 1984, Classification and Regression Trees, section 3.4.3 (the 1 SE rule).
    """
    scores = {name: row_scores(metric, held[name], y_n) for name in METHODS if name in held}
    best = max(scores, key=lambda name: scores[name].mean())
    _, group_n = np.unique(groups_n, return_inverse=True)
    groups = group_n.max() + 1
    for name, score_n in scores.items():
        behind_n = scores[best] - score_n
        spread_g = np.bincount(group_n, weights=behind_n - behind_n.mean())
        error = sqrt(float(spread_g @ spread_g) * groups / max(groups - 1, 1)) / len(y_n)
        if behind_n.mean() <= error + TIE:
            return name
    return best


def mcnemar(a_nc: np.ndarray, b_nc: np.ndarray, y_n: np.ndarray) -> float:
    """Return the exact two-sided p of McNemar's test that two classifiers are right equally often.

    References:
        McNemar 1947; the exact binomial form, since few rows may tell the two apart.
    """
    a_n, b_n = a_nc.argmax(1) == y_n, b_nc.argmax(1) == y_n
    n, fewer = int((a_n != b_n).sum()), min(int((a_n & ~b_n).sum()), int((b_n & ~a_n).sum()))
    term, tail = 1, 1  # n choose i, and its sum up to i
    for i in range(fewer):
        term = term * (n - i) // (i + 1)
        tail += term
    return min(1.0, 2 * tail / 2**n)
