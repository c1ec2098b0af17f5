"""Combinations whose parameters are fitted: weights on the simplex, and a logistic meta-learner."""

import warnings

import numpy as np

from ferhpo.ensemble.combine import Combination, Meta, apply_meta, features
from ferhpo.ensemble.folds import deal
from ferhpo.metrics import EPS, nll

GAP = 1e-6  # nats a row that the weights may be from the optimum
STEPS = 20_000  # of EM at most; 50 members x 3,589 rows take about 900
FAINT = 1e-3  # a smaller weight is 0: a member costs its whole forward pass
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # scikit-learn's C, from the strongest penalty
INNER = 3  # folds in which C is chosen
SEARCH_TOL, TOL = 1e-3, 1e-6  # of the solver while C is chosen, and of the fit that is used


def simplex_weights(probs_mnc: np.ndarray, y_n: np.ndarray, gap: float = GAP, steps: int = STEPS) -> np.ndarray:
    """Return the weights (at least 0, sum 1) under which the weighted mean has the lowest NLL.

    EM for the proportions of a mixture with known parts; every step lowers the NLL. The problem is convex and its
    gradient certifies the end: with ``g_m`` the mean over rows of ``p_m / mean``, the NLL lies at most ``max g_m - 1``
    above its minimum.

    Args:
        probs_mnc: members x rows x classes.
        y_n: class index per row.
        gap: the certificate at which to stop, in nats a row.
        steps: the most steps to take.

    References:
        Dempster, Laird, Rubin 1977, Maximum Likelihood from Incomplete Data via the EM Algorithm, section 4.3.
        Lindsay 1983, The Geometry of Mixture Likelihoods, theorem 4.1 (the certificate).
    """
    label_mn = np.maximum(probs_mnc[:, np.arange(len(y_n)), y_n], EPS)
    weights_m = np.full(len(label_mn), 1 / len(label_mn))
    for _ in range(steps):
        gain_m = label_mn @ (1 / (weights_m @ label_mn)) / len(y_n)
        if gain_m.max() - 1 <= gap:
            break
        weights_m = weights_m * gain_m
    return weights_m / weights_m.sum()


def fit_weighted(probs_mnc: np.ndarray, y_n: np.ndarray, _groups_n: np.ndarray) -> Combination:
    """Return the weighted mean of the lowest NLL, less members of faint weight."""
    weights_m = simplex_weights(probs_mnc, y_n)
    weights_m[weights_m < min(FAINT, weights_m.max())] = 0
    return Combination(method="weighted", weights_m=weights_m / weights_m.sum())


def fit_logistic(probs_mnc: np.ndarray, y_n: np.ndarray, groups_n: np.ndarray) -> Combination:
    """Fit multinomial logistic regression on log-probabilities, its L2 penalty chosen in folds of these rows.

    The penalty is loosened step by step until the held-out NLL no longer falls. 5 members of 7 classes are 252
    parameters, so a loose penalty overfits the few thousand rows there are.

    References:
        Wolpert 1992, Stacked Generalization. Ting and Witten 1999, Issues in Stacked Generalization.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):  # two threads took five times as long on a machine that was busy
        meta = _fit_meta(probs_mnc, y_n, groups_n)
    mass_m = np.abs(meta.coef_cmk).sum((0, 2))
    return Combination(method="logistic", weights_m=mass_m / mass_m.sum(), meta=meta)


def _fit_meta(probs_mnc: np.ndarray, y_n: np.ndarray, groups_n: np.ndarray) -> Meta:
    """Choose the penalty, then fit to all rows."""
    x_nf, classes = features(probs_mnc), probs_mnc.shape[2]
    fold_n = deal(y_n, groups_n, INNER)
    strength, lowest = STRENGTHS[0], np.inf
    starts: dict[int, Meta] = {}
    for candidate in STRENGTHS:
        held_nc = np.empty((len(y_n), classes))
        for fold in range(fold_n.max() + 1):
            seen, held = fold_n != fold, fold_n == fold
            starts[fold] = solve(x_nf[seen], y_n[seen], classes, candidate, tol=SEARCH_TOL, start=starts.get(fold))
            held_nc[held] = apply_meta(probs_mnc[:, held], starts[fold])
        loss = nll(held_nc, y_n)
        if loss >= lowest:
            break
        strength, lowest = candidate, loss
    return solve(x_nf, y_n, classes, strength)


def solve(
    x_nf: np.ndarray, y_n: np.ndarray, classes: int, strength: float, tol: float = TOL, start: Meta | None = None
) -> Meta:
    """Fit scikit-learn's LogisticRegression; a class without a row gets one on which no member says anything.

    Args:
        x_nf: `features`.
        y_n: class index per row.
        classes: how many there are.
        strength: C.
        tol: the solver's.
        start: where the solver begins; it ends at the same place from anywhere.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    missing = np.setdiff1d(np.arange(classes), y_n)
    x_nf = np.concatenate([x_nf, np.zeros((len(missing), x_nf.shape[1]))])
    y_n = np.concatenate([y_n, missing])
    model = LogisticRegression(C=strength, max_iter=1000, tol=tol, warm_start=True)
    if start is not None and classes > 2:
        model.coef_, model.intercept_ = start.coef_cmk.reshape(classes, -1).copy(), start.bias_c.copy()
        model.classes_ = np.arange(classes)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # a fit that ended early is penalised a little more, no less
        model.fit(x_nf, y_n)
    coef_cf, bias_c = model.coef_, np.asarray(model.intercept_)
    if classes == 2:  # scikit-learn keeps one row: the log-odds of the second class
        coef_cf, bias_c = np.concatenate([-coef_cf, coef_cf]) / 2, np.concatenate([-bias_c, bias_c]) / 2
    return Meta(coef_cmk=coef_cf.reshape(classes, -1, classes), bias_c=bias_c, strength=strength)
