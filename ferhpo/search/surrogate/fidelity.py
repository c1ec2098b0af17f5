"""A model of learning curves: what a configuration would reach after the last epoch, from trials stopped anywhere.

A Gaussian process over the parameters' unit values and the logarithm of the epoch: what of a configuration shows at
every epoch, plus what is its own at each. So a value is compared with others through the epoch it was reached at,
curves that cross can be told from curves that do not, and a trial that was stopped early counts for what it is: little
for the end of a curve, more for its beginning.

References:
    Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, algorithm 2.1 and section 5.4. Swersky et al.
    2013, Multi-Task Bayesian Optimization: one process over configurations and what a value was measured at. Duvenaud
    2014, Automatic Model Construction with Gaussian Processes, section 2.2: sums and products of kernels.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferhpo.search.surrogate.encoding import Encoding

THIN = 2.0  # epochs of a trial that are looked at lie at least this factor apart
MOST_ROWS = 300  # observations in one fit
BEST_TRIALS = 30  # that are always among them
JITTER = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What is known of one trial.

    Args:
        params: its configuration.
        epochs: those with a value, thinned out (k,), ascending.
        values: greater is better (k,); NaN and infinities count as the worst there is. Of several objectives, until
            they are made one, (k, objectives).
        elsewhere: in another study.
        infeasible: it broke a constraint, so its value is NaN.
        key: the same of two trials of one configuration.
    """

    params: Mapping[str, Any]
    epochs: np.ndarray
    values: np.ndarray
    elsewhere: bool = False
    infeasible: bool = False
    key: Hashable = None

    @property
    def worked(self) -> bool:
        """Tell whether there is a finite value."""
        return any(map(math.isfinite, self.values.flat))


def curve(params: Mapping[str, Any], values: Mapping[int, Any], *, maximize: bool) -> Curve:
    """Return a trial's curve: its first epoch, its last, and a few between that lie evenly in the logarithm.

    Args:
        params: the trial's.
        values: by epoch, one each, or one for each objective.
        maximize: greater is better.
    """
    kept: list[int] = []
    for epoch in sorted(values):
        if not kept or epoch >= THIN * kept[-1]:
            kept.append(epoch)
    kept = sorted({*kept, max(values)})
    sign = 1.0 if maximize else -1.0
    return Curve(params=params, epochs=np.array(kept, float), values=sign * np.array([values[e] for e in kept], float))


def scaled(values: np.ndarray) -> np.ndarray:
    """Return values with mean 0 and standard deviation 1, once the bad ones are cut off.

    What lies below `worst`, or is no finite number, counts as just that.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.zeros(len(values))
    best, floor = float(finite.max()), worst(finite)
    cut = np.maximum(np.where(np.isfinite(values), values, floor), floor) - best
    cut = np.ldexp(cut, -np.frexp(cut.min())[1])  # a power of two rounds nothing, and no square is too large or small
    spread = float(cut.std())
    return (cut - cut.mean()) / spread if spread > 0 else np.zeros(len(values))


def worst(values: np.ndarray) -> float:
    """Return the value that all lower ones are taken for: how bad a diverged training is says nothing of good ones.

    It lies below the median by twice what the best lies above it.

    Args:
        values: greater is better, at least one, finite.
    """
    best, middle = float(values.max()), float(np.median(values))
    return max(float(values.min()), middle - 2 * (best - middle))


class Process:
    """A Gaussian process over configurations x and epochs t, with noise: k = m(x, x') (lasting + passing m(t, t')).

    m is a Matern 5/2 kernel with a length a column. Lengths, the two variances and noise maximise the likelihood times
    a prior that keeps them near 1, 0.5, 0.5 and 0.02.

    Args:
        x: configurations, and the epoch as the last column (n, columns).
        y: mean 0, standard deviation 1 (n,).
        theta: logarithms of inverse squared lengths, lasting and passing variance, and noise, of an earlier fit; None
            fits them.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, theta: np.ndarray | None = None) -> None:
        self.x, self.y = x, y
        self.theta = _fitted(x, y) if theta is None else theta
        lengths, self._lasting, self._passing, noise = np.exp(self.theta[:-3]), *np.exp(self.theta[-3:])
        self._root = np.sqrt(lengths)
        k = self._kernel(x)
        self._inverse = np.linalg.inv(np.linalg.cholesky(k + (noise + JITTER) * np.eye(len(x))))
        self._weights = self._inverse.T @ (self._inverse @ y)

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation, without noise, (n,) each."""
        k = self._kernel(x)
        variance = self._lasting + self._passing - ((k @ self._inverse.T) ** 2).sum(1)
        return k @ self._weights, np.sqrt(np.maximum(variance, 1e-8))

    def mean(self, x: np.ndarray) -> np.ndarray:
        """Return the mean alone (n,)."""
        return self._kernel(x) @ self._weights

    def believing(self, x: np.ndarray) -> "Process":
        """Return the process as if its means at ``x`` had been observed: what is under way is not proposed again."""
        return Process(np.concatenate([self.x, x]), np.concatenate([self.y, self.mean(x)]), self.theta)

    def _kernel(self, x: np.ndarray) -> np.ndarray:
        a, b = x * self._root, self.x * self._root
        of_x, of_t = _matern(_squares(a[:, :-1], b[:, :-1]))[0], _matern(_squares(a[:, -1:], b[:, -1:]))[0]
        return of_x * (self._lasting + self._passing * of_t)


class Surrogate:
    """The process over configuration and epoch, and whether it was another study: a length tells how far that matters.

    Args:
        encoding: turns configurations into features.
        curves: of the trials seen so far, at least one; other studies' are left out where the study's own suffice.
        max_epochs: the epoch that is asked about.
        rng: draws trials where there are too many.
        theta: of an earlier surrogate over the same encoding, None to fit it.
        most: observations in the fit, whose time grows with their third power.
    """

    def __init__(
        self,
        encoding: Encoding,
        curves: Sequence[Curve],
        max_epochs: int,
        rng: np.random.Generator,
        theta: np.ndarray | None = None,
        most: int = MOST_ROWS,
    ) -> None:
        self.encoding = encoding
        own, others = [c for c in curves if not c.elsewhere], [c for c in curves if c.elsewhere]
        self._transfers = bool(others)
        kept = _kept(own, rng, most)
        curves = [*kept, *_kept(others, rng, most - sum(len(c.epochs) for c in kept))]
        self.rows = np.array([encoding.row(c.params) for c in curves])
        self.own = np.array([not c.elsewhere for c in curves])
        owner = np.repeat(np.arange(len(curves)), [len(c.epochs) for c in curves])
        values = np.concatenate([c.values for c in curves])
        at = np.log1p(np.concatenate([c.epochs for c in curves])) / math.log1p(max_epochs)
        x = encoding.features(self.rows)[owner]
        if self._transfers:
            x = np.column_stack([x, ~self.own[owner]])
        self.process = Process(np.column_stack([x, at]), scaled(values), theta)

    def at_end(self, rows: np.ndarray) -> np.ndarray:
        """Return the features of rows after the last epoch, in this study."""
        x, n = self.encoding.features(rows), len(rows)
        x = np.column_stack([x, np.zeros(n)]) if self._transfers else x
        return np.column_stack([x, np.ones(n)])


def _kept(curves: Sequence[Curve], rng: np.random.Generator, most: int) -> Sequence[Curve]:
    """Return the trials that are fitted: all, or those of the best last values and others at random."""
    if sum(len(c.epochs) for c in curves) <= most:
        return curves
    last = np.array([c.values[-1] for c in curves])
    order = np.argsort(-np.where(np.isfinite(last), last, -np.inf), kind="stable")
    order = np.concatenate([order[:BEST_TRIALS], rng.permutation(order[BEST_TRIALS:])])
    rows = np.cumsum([len(curves[i].epochs) for i in order])
    return [curves[i] for i in order[rows <= most]]


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return squared distances, (n, m)."""
    return np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T, 0)


def _matern(squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Matern 5/2 kernel at squared distances, and its derivative by them."""
    r = np.sqrt(5 * squared)
    decay = np.exp(-r)
    return (1 + r + r * r / 3) * decay, -(5 / 6) * (1 + r) * decay


def _fitted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return theta of `Process`: the most probable one, by the gradient."""
    from scipy.optimize import minimize  # a third of a second, which whoever fits nothing need not wait for

    n, d = x.shape
    squares = ((x[:, None] - x[None]) ** 2).reshape(n * n, d)
    alike, by_pair = _apart(x[:, :-1])  # many rows are of one configuration, and few epochs differ
    alike_t, by_pair_t = _apart(x[:, -1:])
    centre = np.array([*np.zeros(d), math.log(0.5), math.log(0.5), math.log(0.02)])
    width = np.array([*np.full(d, 1.5), 1.0, 1.0, 1.5])

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        lengths, lasting, passing, noise = np.exp(theta[:d]), *np.exp(theta[d:])
        of_x, slope_x = (m[by_pair] for m in _matern(alike @ lengths[:-1]))
        of_t, slope_t = (m[by_pair_t] for m in _matern(alike_t[:, 0] * lengths[-1]))
        at_epoch = lasting + passing * of_t
        factor = np.linalg.cholesky((of_x * at_epoch).reshape(n, n) + (noise + JITTER) * np.eye(n))
        half = np.linalg.inv(factor)
        inverse = half.T @ half
        weights = inverse @ y
        away = (theta - centre) / width
        value = 0.5 * y @ weights + np.log(np.diag(factor)).sum() + 0.5 * (away**2).sum()
        push = (inverse - np.outer(weights, weights)).ravel()
        by_length = np.append(
            (push * slope_x * at_epoch) @ squares[:, :-1], (push * of_x * passing * slope_t) @ squares[:, -1]
        )
        by_variance = lasting * (push @ of_x), passing * (push @ (of_x * of_t)), noise * push[:: n + 1].sum()
        gradient = 0.5 * np.array([*by_length * lengths, *by_variance])
        return float(value), gradient + away / width

    bounds = [(-7.0, 5.0)] * d + [(-6.0, 3.0)] * 2 + [(-8.0, 1.0)]
    return minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 20}).x


def _apart(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return squared differences of all pairs of different rows (pairs, columns), and which is whose (n * n,)."""
    rows, place = np.unique(x, axis=0, return_inverse=True)
    m, place = len(rows), place.ravel()
    return ((rows[:, None] - rows[None]) ** 2).reshape(m * m, -1), (m * place[:, None] + place[None]).ravel()
