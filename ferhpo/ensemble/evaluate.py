"""What a combination is worth: scored on rows its fit did not see, and set beside the others."""

from collections.abc import Mapping
from functools import partial
from math import sqrt

import numpy as np

from ferhpo import metrics
from ferhpo.ensemble.combine import Combination, fit_majority, fit_uniform
from ferhpo.ensemble.cost import Budget
from ferhpo.ensemble.folds import Fit
from ferhpo.ensemble.select import SELECTIONS, fit_selected
from ferhpo.ensemble.stack import fit_log_pool, fit_logistic, fit_logistic_shared, fit_weighted

TIE = 1e-9  # one row won is one standard error exactly; rounding must not make it more

METHODS: Mapping[str, Fit] = {  # from the simplest to the one with most to fit: the order that `choose` prefers
    "uniform": fit_uniform,
    "majority": fit_majority,
    "diverse": partial(fit_selected, method="diverse"),
    "weighted": fit_weighted,
    "log_pool": fit_log_pool,
    "greedy": partial(fit_selected, method="greedy"),
    "bagged": partial(fit_selected, method="bagged"),
    "logistic_shared": fit_logistic_shared,
    "logistic": fit_logistic,
}


def methods(metric: str = "accuracy", budget: Budget | None = None) -> dict[str, Fit]:
    """Return the fit of each method, in the order of METHODS.

    Under a budget greedy, bagged and diverse search among all members; every other method combines those that are
    taken when the members, best first, are each taken if they still fit.

    Args:
        metric: the study's, which greedy selection climbs.
        budget: what the members may cost.
    """
    fits: dict[str, Fit] = dict(METHODS)
    fits |= {name: partial(fit_selected, method=name, metric=metric, budget=budget) for name in ("greedy", "bagged")}
    if budget is not None:
        fits["diverse"] = partial(fit_selected, method="diverse", budget=budget)
        kept = budget.fill(range(budget.costs_bm.shape[1]))
        fits |= {name: _among(METHODS[name], kept) for name in METHODS if name not in SELECTIONS}
    return fits


def _among(fit: Fit, kept: np.ndarray) -> Fit:
    """Return a fit that sees some of the members only."""

    def fit_some(probs_mnc: np.ndarray, y_n: np.ndarray, groups_n: np.ndarray) -> Combination:
        return fit(probs_mnc[kept], y_n, groups_n).spread(kept, len(probs_mnc))

    return fit_some


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


def mcnemar(a_nc: np.ndarray, b_nc: np.ndarray, y_n: np.ndarray, groups_n: np.ndarray) -> float:
    """Return the exact two-sided p of McNemar's test that two classifiers are right equally often.

    A group of rows (copies, one person) is one observation: for the classifier that is right in it more often.

    References:
        McNemar 1947; the exact binomial form, since few rows may tell the two apart.
    """
    from scipy.special import bdtr

    a_n, b_n = a_nc.argmax(1) == y_n, b_nc.argmax(1) == y_n
    lead_g = np.bincount(np.unique(groups_n, return_inverse=True)[1], weights=a_n.astype(float) - b_n)
    only_a, only_b = int((lead_g > 0).sum()), int((lead_g < 0).sum())
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))
