"""Minimises a convex function of weights that are at least 0 and sum to 1."""

from collections.abc import Callable

import numpy as np

Derivatives = Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray]]  # weights -> value, gradient, Hessian

GAP = 1e-9  # nats a row that the weights may be from the optimum
STEPS = 100  # of Newton's method at most; some 10 are taken
RIDGE = 1e-10  # of the Hessian's mean diagonal: two equal members make it singular
ARMIJO = 1e-4  # share of the promised descent that a step must keep


def minimise(derivatives: Derivatives, members: int) -> np.ndarray:
    """Return the weights of the lowest value, by Newton steps within the simplex from equal weights.

    A step goes towards the minimum of the quadratic model over the simplex, a problem of non-negative least squares.
    The gradient certifies the end: the value lies at most ``gradient @ weights - min gradient`` above its minimum.

    Args:
        derivatives: value, gradient (members) and Hessian (members x members) at weights (members). Along a direction
            in which the Hessian is 0 (two equal members) the gradient must be 0 as well.
        members: how many weights there are.

    References:
        Lawson and Hanson 1974, Solving Least Squares Problems, chapter 23 (non-negative least squares).
        Frank and Wolfe 1956, An Algorithm for Quadratic Programming (the certificate).
    """
    weights_m = np.full(members, 1 / members)
    if members == 1:
        return weights_m
    value, gradient_m, hessian_mm = derivatives(weights_m)
    for _ in range(STEPS):
        if gradient_m @ weights_m - gradient_m.min() <= GAP:
            break
        direction_m = _model_minimum(weights_m, gradient_m, hessian_mm) - weights_m
        slope, step = float(gradient_m @ direction_m), 1.0
        tried = derivatives(weights_m + direction_m)
        while tried[0] > value + ARMIJO * step * slope and step > 1e-6:
            step /= 2
            tried = derivatives(weights_m + step * direction_m)
        if tried[0] >= value:
            break
        weights_m = weights_m + step * direction_m
        value, gradient_m, hessian_mm = tried
    return weights_m / weights_m.sum()


def _model_minimum(weights_m: np.ndarray, gradient_m: np.ndarray, hessian_mm: np.ndarray) -> np.ndarray:
    """Return the point of the simplex at which the quadratic model is lowest.

    With ``R' R`` the Hessian, the model at v is ``|R v - r|^2 / 2``, and as v sums to 1, ``|(R - r 1') v|^2 / 2``:
    the point nearest to 0 of the hull of some columns. Non-negative least squares with one more row of ones finds a
    multiple of it, whatever that row's scale.
    """
    from scipy.optimize import nnls

    members = len(weights_m)
    ridge = RIDGE * np.trace(hessian_mm) / members + np.finfo(float).tiny
    lower_mm = np.linalg.cholesky(hessian_mm + ridge * np.eye(members))
    target_m = np.linalg.solve(lower_mm, hessian_mm @ weights_m - gradient_m)
    columns_mm = lower_mm.T - target_m[:, None]
    scale = np.abs(columns_mm).max()
    found_m, _ = nnls(np.vstack([columns_mm / scale, np.ones(members)]), np.r_[np.zeros(members), 1.0])
    return found_m / found_m.sum()
