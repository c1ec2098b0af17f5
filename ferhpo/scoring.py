"""What is shown of a classifier besides `metrics.figures`: intervals, figures by class.

`scored` adds Wilson's interval of the accuracy, `evaluated` is everything a report shows. Shapes as in `metrics`.
"""

from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from ferhpo.metrics import EPS, brier, confusion, figures

LEVEL = 0.95  # of every interval
FEW = 20  # groups; below this there is no bootstrap interval, which would be too narrow


def scored(probs_nc: np.ndarray, y_n: np.ndarray, groups_n: np.ndarray) -> dict[str, Any]:
    """Return `figures` and ``ci95``, Wilson's interval of the accuracy over `independent` rows; as `evaluated`."""
    found = figures(probs_nc, y_n)
    n = independent(probs_nc.argmax(1) == y_n, groups_n)
    return {**found, "ci95": list(wilson(found["accuracy"], n))}


def evaluated(probs_nc: np.ndarray, y_n: np.ndarray, groups_n: np.ndarray) -> dict[str, Any]:
    """Return everything that is shown of a classifier, as plain values.

    Besides `scored`: brier, mse (of one-hot labels, mean over rows and classes), r2, majority, beats_majority (Wilson's
    interval lies above it), bootstrap95 (`bootstrap`; None where groups are fewer than FEW), confusion, per_class
    (`by_class`), and macro and weighted means of precision, recall and F1: over the classes that occur as label or
    prediction, and over rows.

    Args:
        probs_nc: rows x classes, float, rows sum to 1.
        y_n: int class index per row, at least one row.
        groups_n: equal numbers for identical images.
    """
    found, table_cc = scored(probs_nc, y_n, groups_n), confusion(probs_nc, y_n)
    per_class, square, rate = by_class(table_cc), brier(probs_nc, y_n), majority(y_n)
    seen_c, rows_c = table_cc.sum(0) + table_cc.sum(1) > 0, table_cc.sum(1)
    means = {key: np.array(per_class[key]) for key in ("precision", "recall", "f1")}
    return {
        **found,
        "brier": square,
        "mse": square / probs_nc.shape[1],
        "r2": r2(probs_nc, y_n),
        "majority": rate,
        "beats_majority": found["ci95"][0] > rate,
        "bootstrap95": bootstrap(probs_nc, y_n, groups_n) if len(np.unique(groups_n)) >= FEW else None,
        "macro": {key: float(value_c[seen_c].mean()) for key, value_c in means.items()},
        "weighted": {key: float(value_c @ rows_c / len(y_n)) for key, value_c in means.items()},
        "per_class": per_class,
        "confusion": table_cc.tolist(),
    }


def bootstrap(
    probs_nc: np.ndarray,
    y_n: np.ndarray,
    groups_n: np.ndarray,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Return percentile intervals of accuracy, balanced accuracy, macro F1 and NLL.

    Groups of identical images are drawn with replacement, not rows: copies are one observation.

    Args:
        probs_nc: rows x classes.
        y_n: class index per row.
        groups_n: equal numbers for identical images.
        draws: how many.
        seed: of the draws.

    References:
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    classes = probs_nc.shape[1]
    groups, group_n = np.unique(groups_n, return_inverse=True)
    named_n = probs_nc.argmax(1)
    right_n = named_n == y_n
    loss_n = -np.log(np.clip(probs_nc[np.arange(len(y_n)), y_n], EPS, 1.0))
    sums_gx = np.zeros((len(groups), 3 * classes + 1))  # hits, rows and named by class; whole tables would fill memory
    np.add.at(sums_gx, (group_n[right_n], y_n[right_n]), 1)
    np.add.at(sums_gx, (group_n, classes + y_n), 1)
    np.add.at(sums_gx, (group_n, 2 * classes + named_n), 1)
    sums_gx[:, -1] = np.bincount(group_n, weights=loss_n)
    rng = np.random.default_rng(seed)
    times = (np.bincount(rng.integers(len(groups), size=len(groups)), minlength=len(groups)) for _ in range(draws))
    sums_dx = np.stack([times_g @ sums_gx for times_g in times])
    hits_dc, rows_dc, named_dc = np.split(sums_dx[:, :-1], 3, axis=1)
    n_d, both_dc = rows_dc.sum(1), rows_dc + named_dc
    drawn = {
        "accuracy": hits_dc.sum(1) / n_d,
        "balanced_accuracy": (hits_dc / np.maximum(rows_dc, 1)).sum(1) / (rows_dc > 0).sum(1),
        "macro_f1": (2 * hits_dc / np.maximum(both_dc, 1)).sum(1) / (both_dc > 0).sum(1),
        "nll": sums_dx[:, -1] / n_d,
    }
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    return {name: np.quantile(value_d, ends).tolist() for name, value_d in drawn.items()}


def r2(probs_nc: np.ndarray, y_n: np.ndarray) -> float | None:
    """Mean over classes of the coefficient of determination on one-hot labels; None if one class alone occurs.

    A class that does not occur, or that every row has, cannot be explained and is left out.
    """
    target_nc = np.eye(probs_nc.shape[1])[y_n]
    varied_c = target_nc.var(0) > 0
    if not varied_c.any():
        return None
    left_c = ((probs_nc - target_nc) ** 2).mean(0)[varied_c] / target_nc.var(0)[varied_c]
    return float((1 - left_c).mean())


def majority(y_n: np.ndarray) -> float:
    """Accuracy of always naming the commonest class."""
    return float(np.bincount(y_n).max() / len(y_n))


def by_class(table_cc: np.ndarray) -> dict[str, list[float]]:
    """Return rows, precision, recall and F1 of each class from `confusion`; what has no denominator is 0."""
    hits_c, rows_c, named_c = table_cc.diagonal(), table_cc.sum(1), table_cc.sum(0)
    return {
        "rows": rows_c.tolist(),
        "precision": (hits_c / np.maximum(named_c, 1)).tolist(),
        "recall": (hits_c / np.maximum(rows_c, 1)).tolist(),
        "f1": (2 * hits_c / np.maximum(rows_c + named_c, 1)).tolist(),
    }


def wilson(share: float, n: float) -> tuple[float, float]:
    """Return Wilson's interval for a share seen over ``n`` rows, or what as many independent ones are worth.

    References:
        Wilson 1927, Probable Inference, the Law of Succession, and Statistical Inference.

    >>> [round(x, 3) for x in wilson(0.73, 3589)]
    [0.715, 0.744]
    """
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def independent(right_n: np.ndarray, groups_n: np.ndarray) -> float:
    """Return how many independent rows tell an accuracy as well as these rows do: at most so many.

    Rows of one group (copies, one person) are right or wrong together. Their number is divided by the design effect,
    and as few groups tell that effect badly, once more by what Student's interval is wider; they are worth no less than
    groups within which all rows are alike. Where people have very unequal numbers of images, intervals are still a
    little narrow: of 95 % ones about 91 in 100 hold the truth.

    Args:
        right_n: bool, rows.
        groups_n: equal numbers for rows that belong together.

    References:
        Kish 1965, Survey Sampling, chapter 5; Rogers 1993 (the variance of a mean over clusters); Korn and Graubard
        1998, Confidence Intervals for Proportions with Small Expected Number of Positive Counts.

    >>> independent(np.array([True, True, False, False]), np.array([0, 0, 1, 1]))
    2.0
    """
    rows, (groups, group_n) = len(right_n), np.unique(groups_n, return_inverse=True)
    if len(groups) in (1, rows):
        return float(len(groups))
    from scipy.special import stdtrit  # a third of a second, which reading a study need not wait for

    size_g, right_g = np.bincount(group_n), np.bincount(group_n, weights=right_n)
    alike = rows**2 / float(size_g @ size_g)
    usual = rows / len(groups)  # one more group, half of it right: where all are right nothing tells the effect
    size_g, right_g = np.append(size_g, usual), np.append(right_g, usual / 2)
    share = float(right_g.sum() / size_g.sum())
    spread_g = right_g - size_g * share
    binomial = float(size_g.sum()) * share * (1 - share) * len(groups) / (len(groups) + 1)
    effect = max(1.0, float(spread_g @ spread_g) / binomial)
    student = float(stdtrit(len(groups) - 1, (1 + LEVEL) / 2)) / NormalDist().inv_cdf((1 + LEVEL) / 2)
    return min(float(rows), max(alike, rows / effect / student**2))
