"""Two logistic meta-learners on log-probabilities and how they are solved for one penalty; `stack` chooses it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ferhpo.ensemble.combine import Meta, centred_logs

TOL = 1e-6  # largest scaled gradient left in a fit that is used
CURVATURE = 0.1  # p (1 - p) of a typical class, for the scale of the steps alone
RANK = 1e-9  # of the largest variance: a direction with less is none (a softmax ignores one a member)


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
        variance_j, axes_fj = _principal(x_nf.T @ x_nf / rows)
        return cls(axes_fj, x_nf @ axes_fj, mean_f, variance_j, classes)

    def solve(self, target_nc: np.ndarray, strength: float, tol: float, start: Meta | None) -> Meta:
        """Return the meta-learner of the lowest penalised loss."""
        rows, penalty, scale_j = _scaled(target_nc, strength, self.variance_j)
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
        variance_j, axes_mj = _principal(flat_mx @ flat_mx.T / rows)
        return cls(axes_mj, axes_mj.T @ flat_mx, variance_j, classes)

    def solve(self, target_nc: np.ndarray, strength: float, tol: float, start: Meta | None) -> Meta:
        """Return the meta-learner of the lowest penalised loss."""
        rows, penalty, scale_j = _scaled(target_nc, strength, self.variance_j)
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
        return Meta(coef_cmk=shared(coef_m, self.classes), bias_c=theta[size:], strength=strength)


def solver(
    form: type[PerClass | Shared], probs_mnc: np.ndarray, y_n: np.ndarray
) -> Callable[[float, float, Meta | None], Meta]:
    """Return what minimises ``C * (sum over rows of the cross-entropy) + |coefficients|^2 / 2`` for a C.

    It takes C, the largest gradient left in the form's coordinates, and where to begin; it ends at the same place from
    anywhere. A class without a row gets one on which no member says anything, or its bias would have no minimum.

    Args:
        form: PerClass or Shared.
        probs_mnc: members x rows x classes.
        y_n: class index per row.
    """
    members, _, classes = probs_mnc.shape
    missing = np.setdiff1d(np.arange(classes), y_n)
    logs_mnc = np.concatenate([centred_logs(probs_mnc), np.zeros((members, len(missing), classes))], axis=1)
    return partial(form.of(logs_mnc).solve, np.eye(classes)[np.r_[y_n, missing]])


def shared(coef_m: np.ndarray, classes: int) -> np.ndarray:
    """Return ``coef_cmk`` in which every class reads its own log-probability, with the same weight."""
    return np.eye(classes)[:, None, :] * coef_m[None, :, None]


def _principal(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the variances along the principal axes, and the axes in columns, but for those without variance."""
    variance_j, axes = np.linalg.eigh(covariance)
    kept_j = variance_j > RANK * max(variance_j[-1], np.finfo(float).tiny)
    return variance_j[kept_j], axes[:, kept_j]


def _scaled(target_nc: np.ndarray, strength: float, variance_j: np.ndarray) -> tuple[int, float, np.ndarray]:
    """Return the rows, the penalty of their mean loss, and the length of a step along each axis."""
    rows = len(target_nc)
    penalty = 1 / (strength * rows)
    return rows, penalty, 1 / np.sqrt(CURVATURE * variance_j + penalty)


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
