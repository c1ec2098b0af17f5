"""Which configuration to try next, given the model of `fidelity.py`.

About every other proposal is the candidate of the greatest expected improvement after the last epoch. The others are
the best by the model of a few random configurations, which keeps a search from crowding where a model that is wrong,
say about a value that jumps, expects the most. Where the model is right they cost little, since the best of few is good
too.

References:
    Jones et al. 1998, Efficient Global Optimization of Expensive Black-Box Functions: expected improvement. Hutter et
    al. 2011, Sequential Model-Based Optimization for General Algorithm Configuration: the best candidates improved by
    local search, and random configurations between proposals.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ferhpo.search.surrogate.encoding import Encoding, Presence
from ferhpo.search.surrogate.fidelity import Surrogate

Allowed = Callable[[np.ndarray], np.ndarray]
SPREAD = 0.5  # share of the proposals that are the best of FEW random configurations
FEW = 20
RANDOM, NEAR, PARENTS = 400, 320, 12  # candidates, those near the best trials, and how many of these
WIDE, CLOSE = 0.2, 0.05  # how far neighbours lie, as a share of a range
NEIGHBOURS = 8
CLOSER = (0.1, 0.03, 0.01)  # how far the neighbours of the best candidates lie, round by round


def proposed(
    surrogate: Surrogate,
    pending: np.ndarray,
    allowed: Allowed,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return rows that a study may try, the one to try first (n, parameters).

    Args:
        surrogate: the model.
        pending: rows of trials under way (m, parameters), which are taken to end as the model expects.
        allowed: see `allowing`.
        rng: of every draw.
    """
    if rng.random() < SPREAD:
        return _best_of_few(surrogate, allowed, rng)
    return _improving(surrogate, pending, allowed, rng)


def near(encoding: Encoding, row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return NEIGHBOURS rows near one, about a third of whose cells move (n, parameters)."""
    return encoding.mutated(rng, np.repeat(row[None], NEIGHBOURS, axis=0), WIDE)


def allowing(
    encoding: Encoding,
    seen: np.ndarray,
    choices: Mapping[str, Sequence[Any]],
    fixed: Mapping[str, Any],
    rng: np.random.Generator,
) -> Allowed:
    """Return what makes of rows what would be asked for: choices on offer, what is fixed, NaN where nothing is asked.

    Args:
        encoding: of the rows.
        seen: rows of the study's trials (n, parameters), which tell when a parameter is asked for.
        choices: those that may be proposed of a parameter, where that is fewer than trials may have.
        fixed: parameters that are given, as of an enqueued trial.
        rng: draws a choice in place of one that is not on offer.
    """
    present = Presence(encoding, seen)
    return lambda rows: present(encoding.with_fixed(encoding.offered(rng, rows, choices), fixed))


def _best_of_few(surrogate: Surrogate, allowed: Allowed, rng: np.random.Generator) -> np.ndarray:
    rows = allowed(surrogate.encoding.random(rng, FEW))
    return _ranked(rows, surrogate.process.mean(surrogate.at_end(rows)))


def _improving(surrogate: Surrogate, pending: np.ndarray, allowed: Allowed, rng: np.random.Generator) -> np.ndarray:
    encoding, process, own = surrogate.encoding, surrogate.process, surrogate.own
    reached = process.mean(surrogate.at_end(surrogate.rows))
    best_so_far = reached[own].max() if own.any() else reached.max()
    if len(pending):  # what they are expected to reach counts as reached
        process = process.believing(surrogate.at_end(pending))
        best_so_far = max(best_so_far, process.mean(surrogate.at_end(pending)).max())

    def scored(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = allowed(rows)
        return rows, expected_improvement(*process.predict(surrogate.at_end(rows)), best_so_far)

    parents = _ranked(surrogate.rows, reached)[:PARENTS]
    around = parents[rng.integers(len(parents), size=NEAR)]
    wide, close = encoding.mutated(rng, around[: NEAR // 2], WIDE), encoding.mutated(rng, around[NEAR // 2 :], CLOSE)
    rows, gain = scored(np.concatenate([encoding.random(rng, RANDOM), wide, close]))
    for width in CLOSER:
        best = np.repeat(_ranked(rows, gain)[:5], 20, axis=0)
        again, more = scored(encoding.mutated(rng, best, width))
        rows, gain = np.concatenate([rows, again]), np.concatenate([gain, more])
    return _ranked(rows, gain)


def expected_improvement(mean: np.ndarray, std: np.ndarray, best: float) -> np.ndarray:
    """Return E[max(0, y - best)] for y ~ N(mean, std^2), (n,)."""
    from scipy.special import ndtr  # whose import whoever proposes nothing need not wait for

    z = (mean - best) / std
    return std * (z * ndtr(z) + np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))


def _ranked(rows: np.ndarray, by: np.ndarray) -> np.ndarray:
    return rows[np.argsort(-by, kind="stable")]
