"""Combinations whose parameters are fitted: weights on the simplex of two pools, and two logistic meta-learners."""

import numpy as np

from ferhpo._threads import single_thread
from ferhpo.ensemble.combine import Combination, Meta, apply_meta, centred_logs, softmax
from ferhpo.ensemble.folds import deal
from ferhpo.ensemble.logistic import TOL, PerClass, Shared, shared, solver
from ferhpo.ensemble.simplex import minimise
from ferhpo.metrics import EPS, nll

FAINT = 1e-3  # a smaller weight is 0: a member costs its whole forward pass
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # scikit-learn's C, from the strongest penalty
INNER = 3  # folds in which C is chosen
SEARCH_TOL = 1e-3  # largest scaled gradient left while C is chosen


def linear_weights(probs_mnc: np.ndarray, y_n: np.ndarray) -> np.ndarray:
    """Return the weights (at least 0, sum 1) under which the mean of probabilities has the lowest NLL.

    Args:
        probs_mnc: members x rows x classes.
        y_n: class index per row.

    References:
        Lindsay 1983, The Geometry of Mixture Likelihoods: the problem is convex.
    """
    label_mn = np.maximum(probs_mnc[:, np.arange(len(y_n)), y_n], EPS)

    def derivatives(weights_m: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        mix_n = weights_m @ label_mn
        ratio_mn = label_mn / mix_n
        return -float(np.log(mix_n).mean()), -ratio_mn.mean(1), ratio_mn @ ratio_mn.T / len(y_n)

    return minimise(derivatives, len(label_mn))


def log_weights(probs_mnc: np.ndarray, y_n: np.ndarray) -> np.ndarray:
    """Return the weights (at least 0, sum 1) under which the geometric mean, normalised, has the lowest NLL.

    Args:
        probs_mnc: members x rows x classes.
        y_n: class index per row.

    References:
        Genest and Zidek 1986, Combining Probability Distributions, section 3 (the logarithmic opinion pool).
        Heskes 1998, Selecting Weighting Factors in Logarithmic Opinion Pools.
    """
    logs_mnc = centred_logs(probs_mnc)
    flat_mx = logs_mnc.reshape(len(logs_mnc), -1)
    label_m = logs_mnc[:, np.arange(len(y_n)), y_n].mean(1)

    def derivatives(weights_m: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        logits_nc = (weights_m @ flat_mx).reshape(len(y_n), -1)
        top_n = logits_nc.max(1, keepdims=True)
        norm_n = top_n[:, 0] + np.log(np.exp(logits_nc - top_n).sum(1))
        probs_nc = softmax(logits_nc)
        mean_mn = (logs_mnc * probs_nc).sum(2)
        # a covariance as a Gram matrix: as a difference of moments, sure members would leave nothing but rounding
        spread_mx = ((logs_mnc - mean_mn[:, :, None]) * np.sqrt(probs_nc)).reshape(flat_mx.shape)
        return (
            float(norm_n.mean() - weights_m @ label_m),
            mean_mn.mean(1) - label_m,
            spread_mx @ spread_mx.T / len(y_n),
        )

    return minimise(derivatives, len(logs_mnc))


def fit_weighted(probs_mnc: np.ndarray, y_n: np.ndarray, _groups_n: np.ndarray) -> Combination:
    """Return the weighted mean of the lowest NLL, less members of faint weight."""
    with single_thread():
        return Combination(method="weighted", weights_m=_less_faint(linear_weights(probs_mnc, y_n)))


def fit_log_pool(probs_mnc: np.ndarray, y_n: np.ndarray, _groups_n: np.ndarray) -> Combination:
    """Return the weighted geometric mean of the lowest NLL, less members of faint weight."""
    with single_thread():
        weights_m = _less_faint(log_weights(probs_mnc, y_n))
    classes = probs_mnc.shape[2]
    meta = Meta(coef_cmk=shared(weights_m, classes), bias_c=np.zeros(classes), strength=None)
    return Combination(method="log_pool", weights_m=weights_m, meta=meta)


def fit_logistic_shared(probs_mnc: np.ndarray, y_n: np.ndarray, groups_n: np.ndarray) -> Combination:
    """Fit one coefficient a member, the same for all classes, and one bias a class; else as `fit_logistic`."""
    return _fit("logistic_shared", Shared, probs_mnc, y_n, groups_n)


def fit_logistic(probs_mnc: np.ndarray, y_n: np.ndarray, groups_n: np.ndarray) -> Combination:
    """Fit multinomial logistic regression on log-probabilities, its L2 penalty chosen in folds of these rows.

    The penalty is loosened step by step until the held-out NLL no longer falls. 5 members of 7 classes are 252
    parameters, so a loose penalty overfits the few thousand rows there are.

    References:
        Wolpert 1992, Stacked Generalization. Ting and Witten 1999, Issues in Stacked Generalization.
    """
    return _fit("logistic", PerClass, probs_mnc, y_n, groups_n)


def _fit(
    method: str, form: type[PerClass | Shared], probs_mnc: np.ndarray, y_n: np.ndarray, groups_n: np.ndarray
) -> Combination:
    """Choose the penalty, then fit to all rows; where these are one group, no fold is left: the strongest is taken."""
    with single_thread():
        strength, start = STRENGTHS[0], None
        if len(np.unique(groups_n)) > 1:
            strength, start = _strength(form, probs_mnc, y_n, deal(y_n, groups_n, INNER))
        meta = solver(form, probs_mnc, y_n)(strength, TOL, start)
    mass_m = np.abs(meta.coef_cmk).sum((0, 2))
    total = mass_m.sum()
    weights_m = mass_m / total if total > 0 else np.full(len(mass_m), 1 / len(mass_m))
    return Combination(method=method, weights_m=weights_m, meta=meta)


def _strength(
    form: type[PerClass | Shared], probs_mnc: np.ndarray, y_n: np.ndarray, fold_n: np.ndarray
) -> tuple[float, Meta | None]:
    """Return the penalty with the lowest held-out NLL, and a meta-learner to start from."""
    folds = [(fold_n == fold, solver(form, probs_mnc[:, fold_n != fold], y_n[fold_n != fold])) for fold in set(fold_n)]
    strength, lowest = STRENGTHS[0], np.inf
    starts: list[Meta | None] = [None] * len(folds)
    for candidate in STRENGTHS:
        held_nc = np.empty(probs_mnc.shape[1:])
        for i, (held, solve) in enumerate(folds):
            starts[i] = found = solve(candidate, SEARCH_TOL, starts[i])
            held_nc[held] = apply_meta(probs_mnc[:, held], found)
        loss = nll(held_nc, y_n)
        if loss >= lowest:
            break
        strength, lowest = candidate, loss
    return strength, starts[0]


def _less_faint(weights_m: np.ndarray) -> np.ndarray:
    kept_m = np.where(weights_m < min(FAINT, weights_m.max()), 0, weights_m)
    return kept_m / kept_m.sum()
