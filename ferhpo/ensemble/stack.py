"""Combinations whose parameters are fitted: weights on the simplex of two pools, and two logistic meta-learners."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ferhpo._threads import single_thread
from ferhpo.ensemble.combine import Combination, Meta, apply_meta, centred_logs, softmax
from ferhpo.ensemble.folds import deal
from ferhpo.ensemble.simplex import minimise
from ferhpo.metrics import EPS, nll

FAINT = 1e-3  # a smaller weight is 0: a member costs its whole forward pass
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # scikit-learn's C, from the strongest penalty
INNER = 3  # folds in which C is chosen
SEARCH_TOL, TOL = 1e-3, 1e-6  # largest scaled gradient left while C is chosen, and in the fit that is used
CURVATURE = 0.1  # p (1 - p) of a typical class, for the scale of the steps alone
RANK = 1e-9  # of the largest variance: a direction with less is none (a softmax ignores one a member)


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
    meta = Meta(coef_cmk=_shared(weights_m, classes), bias_c=np.zeros(classes), strength=None)
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


@dataclass(frozen=True, slots=True)
class PerClass:
    """Logits of ``coef_cmk`` and ``bias_c``, in coordinates in which the loss is about as curved in every direction.

    The coordinates are the principal axes of the features: there the L2 penalty keeps its form, and the Hessian is
    nearly diagonal (Bohning 1992, Multinomial Logistic Regression Algorithm: the bound that gives its scale).

    Args:
        axes_fj: the axes.
        rotated_nj: the features, less their mean, along the axes.
        mean_f: of the features.
        variance_j: along the axes.
        classes: how many there are.
    """

    axes_fj: np.ndarray
    rotated_nj: np.ndarray
    mean_f: np.ndarray
    variance_j: np.ndarray
    classes: int

    @classmethod
    def of(cls, logs_mnc: np.ndarray) -> "PerClass":
        """Return the coordinates for `centred_logs`."""
        members, rows, classes = logs_mnc.shape
        x_nf = logs_mnc.transpose(1, 0, 2).reshape(rows, members * classes)
        mean_f = x_nf.mean(0)
        x_nf = x_nf - mean_f
        variance_j, axes_fj = np.linalg.eigh(x_nf.T @ x_nf / rows)
        kept = variance_j > RANK * max(variance_j[-1], np.finfo(float).tiny)
        axes_fj = axes_fj[:, kept]
        return cls(axes_fj, x_nf @ axes_fj, mean_f, variance_j[kept], classes)

    def solve(self, target_nc: np.ndarray, strength: float, tol: float, start: Meta | None) -> Meta:
        """Return the meta-learner of the lowest penalised loss."""
        rows, penalty = len(target_nc), 1 / (strength * len(target_nc))
        scale_j = 1 / np.sqrt(CURVATURE * self.variance_j + penalty)
        z_nj = self.rotated_nj * scale_j
        size = self.classes * len(scale_j)

        def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
            coef_cj, bias_c = theta[:size].reshape(self.classes, -1), theta[size:]
            value, slope_nc = _cross_entropy(z_nj @ coef_cj.T + bias_c, target_nc)
            shrunk_cj = penalty * coef_cj * scale_j**2
            gradient = np.r_[(slope_nc.T @ z_nj / rows + shrunk_cj).ravel(), slope_nc.mean(0)]
            return value + float((shrunk_cj * coef_cj).sum()) / 2, gradient

        theta = np.zeros(size + self.classes)
        if start is not None:
            coef_cf = start.coef_cmk.reshape(self.classes, -1)
            theta = np.r_[(coef_cf @ self.axes_fj / scale_j).ravel(), start.bias_c + coef_cf @ self.mean_f]
        theta = _lbfgs(loss, theta, tol)
        coef_cf = (theta[:size].reshape(self.classes, -1) * scale_j) @ self.axes_fj.T
        coef_cmk = coef_cf.reshape(self.classes, -1, self.classes)
        return Meta(coef_cmk=coef_cmk, bias_c=theta[size:] - coef_cf @ self.mean_f, strength=strength)


@dataclass(frozen=True, slots=True)
class Shared:
    """Logits of one coefficient a member and ``bias_c``; coordinates as in `PerClass`.

    Args:
        axes_mj: the axes.
        rotated_jx: centred log-probabilities, rows and classes in one axis, along the axes.
        variance_j: along the axes.
        classes: how many there are.
    """

    axes_mj: np.ndarray
    rotated_jx: np.ndarray
    variance_j: np.ndarray
    classes: int

    @classmethod
    def of(cls, logs_mnc: np.ndarray) -> "Shared":
        """Return the coordinates for `centred_logs`."""
        members, rows, classes = logs_mnc.shape
        flat_mx = logs_mnc.reshape(members, -1)
        variance_j, axes_mj = np.linalg.eigh(flat_mx @ flat_mx.T / rows)
        kept = variance_j > RANK * max(variance_j[-1], np.finfo(float).tiny)
        axes_mj = axes_mj[:, kept]
        return cls(axes_mj, axes_mj.T @ flat_mx, variance_j[kept], classes)

    def solve(self, target_nc: np.ndarray, strength: float, tol: float, start: Meta | None) -> Meta:
        """Return the meta-learner of the lowest penalised loss."""
        rows, penalty = len(target_nc), 1 / (strength * len(target_nc))
        scale_j = 1 / np.sqrt(CURVATURE * self.variance_j + penalty)
        size = len(scale_j)

        def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
            own_j, bias_c = scale_j * theta[:size], theta[size:]
            value, slope_nc = _cross_entropy((own_j @ self.rotated_jx).reshape(rows, -1) + bias_c, target_nc)
            gradient_j = scale_j * (self.rotated_jx @ slope_nc.ravel() / rows + penalty * own_j)
            return value + penalty * float(own_j @ own_j) / 2, np.r_[gradient_j, slope_nc.mean(0)]

        theta = np.zeros(size + self.classes)
        if start is not None:
            theta = np.r_[start.coef_cmk[0, :, 0] @ self.axes_mj / scale_j, start.bias_c]
        theta = _lbfgs(loss, theta, tol)
        coef_m = self.axes_mj @ (scale_j * theta[:size])
        return Meta(coef_cmk=_shared(coef_m, self.classes), bias_c=theta[size:], strength=strength)


def solve(
    form: type[PerClass | Shared],
    probs_mnc: np.ndarray,
    y_n: np.ndarray,
    strength: float,
    *,
    tol: float = TOL,
    start: Meta | None = None,
) -> Meta:
    """Return the minimum of ``strength * (sum over rows of the cross-entropy) + |coefficients|^2 / 2``.

    A class without a row gets one on which no member says anything, or its bias would have no minimum.

    Args:
        form: PerClass or Shared.
        probs_mnc: members x rows x classes.
        y_n: class index per row.
        strength: the inverse of the penalty.
        tol: the largest gradient left, in the form's coordinates.
        start: where the solver begins; it ends at the same place from anywhere.
    """
    return _solver(form, probs_mnc, y_n)(strength, tol, start)


def _solver(
    form: type[PerClass | Shared], probs_mnc: np.ndarray, y_n: np.ndarray
) -> Callable[[float, float, Meta | None], Meta]:
    members, _, classes = probs_mnc.shape
    missing = np.setdiff1d(np.arange(classes), y_n)
    logs_mnc = np.concatenate([centred_logs(probs_mnc), np.zeros((members, len(missing), classes))], axis=1)
    return partial(form.of(logs_mnc).solve, np.eye(classes)[np.r_[y_n, missing]])


def _fit(
    method: str, form: type[PerClass | Shared], probs_mnc: np.ndarray, y_n: np.ndarray, groups_n: np.ndarray
) -> Combination:
    """Choose the penalty, then fit to all rows; where these are one group, no fold is left: the strongest is taken."""
    with single_thread():
        strength, start = STRENGTHS[0], None
        if len(np.unique(groups_n)) > 1:
            strength, start = _strength(form, probs_mnc, y_n, deal(y_n, groups_n, INNER))
        meta = _solver(form, probs_mnc, y_n)(strength, TOL, start)
    mass_m = np.abs(meta.coef_cmk).sum((0, 2))
    total = mass_m.sum()
    weights_m = mass_m / total if total > 0 else np.full(len(mass_m), 1 / len(mass_m))
    return Combination(method=method, weights_m=weights_m, meta=meta)


def _strength(
    form: type[PerClass | Shared], probs_mnc: np.ndarray, y_n: np.ndarray, fold_n: np.ndarray
) -> tuple[float, Meta | None]:
    """Return the penalty with the lowest held-out NLL, and a meta-learner to start from."""
    folds = [(fold_n == fold, _solver(form, probs_mnc[:, fold_n != fold], y_n[fold_n != fold])) for fold in set(fold_n)]
    strength, lowest = STRENGTHS[0], np.inf
    starts: list[Meta | None] = [None] * len(folds)
    for candidate in STRENGTHS:
        held_nc = np.empty(probs_mnc.shape[1:])
        for i, (held, solver) in enumerate(folds):
            starts[i] = found = solver(candidate, SEARCH_TOL, starts[i])
            held_nc[held] = apply_meta(probs_mnc[:, held], found)
        loss = nll(held_nc, y_n)
        if loss >= lowest:
            break
        strength, lowest = candidate, loss
    return strength, starts[0]


def _cross_entropy(logits_nc: np.ndarray, target_nc: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean loss in nats and its derivative by each row's logits, times the number of rows."""
    logits_nc = logits_nc - logits_nc.max(1, keepdims=True)
    odds_nc = np.exp(logits_nc)
    total_n = odds_nc.sum(1, keepdims=True)
    value = float(np.log(total_n).mean() - (target_nc * logits_nc).sum() / len(target_nc))
    return value, odds_nc / total_n - target_nc


def _lbfgs(loss: Callable[[np.ndarray], tuple[float, np.ndarray]], start: np.ndarray, tol: float) -> np.ndarray:
    """Return the minimiser; stopped early it is closer to its start, so penalised a little more and not less."""
    from scipy.optimize import minimize

    options = {"maxiter": 1000, "gtol": tol, "ftol": 0.0, "maxcor": 20}
    return minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x


def _less_faint(weights_m: np.ndarray) -> np.ndarray:
    kept_m = np.where(weights_m < min(FAINT, weights_m.max()), 0, weights_m)
    return kept_m / kept_m.sum()


def _shared(coef_m: np.ndarray, classes: int) -> np.ndarray:
    """Return ``coef_cmk`` in which every class reads its own log-probability, with the same weight."""
    return np.eye(classes)[:, None, :] * coef_m[None, :, None]
