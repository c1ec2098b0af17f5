"""From cached probabilities to one combination: every method scored side by side, one chosen, fitted and calibrated."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ferhpo.ensemble.calibrate import MIN_ROWS, calibrated
from ferhpo.ensemble.combine import Combination
from ferhpo.ensemble.cost import Budget, Limits
from ferhpo.ensemble.evaluate import choose, methods
from ferhpo.ensemble.folds import cross_fit, deal
from ferhpo.ensemble.front import Point, front
from ferhpo.ensemble.members import Members
from ferhpo.ensemble.outcome import Calibration
from ferhpo.metrics import brier, ece, nll

PROBABILISTIC = frozenset({"nll", "ece"})  # metrics that a temperature changes


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedEnsemble:
    """A chosen method, fitted to all validation rows.

    Args:
        combination: of all members, some of which may weigh nothing.
        held_nc: cross-fitted probabilities of the same procedure.
        candidates: the same of every method, before a temperature unless the metric asks for probabilities.
        calibration: what the temperature did.
        front: value against cost.
    """

    combination: Combination
    held_nc: np.ndarray
    candidates: Mapping[str, np.ndarray]
    calibration: Calibration
    front: tuple[Point, ...]


def fit(found: Members, metric: str, *, method: str, limits: Limits, calibrate: bool) -> FittedEnsemble:
    """Score every method by cross-fitting, take one, and fit it to all rows.

    Args:
        found: the candidate members, best first.
        metric: the study's.
        method: one of `evaluate.METHODS`, or auto.
        limits: what the members may cost together.
        calibrate: fit a temperature, where there are rows enough.

    Raises:
        UsageError: no member fits the limits.
        StudyError: all rows are one image.
    """
    rows = (found.probs_mnc, found.y_n, found.groups_n)
    budget = Budget.of(found.costs(), limits, len(found.numbers))
    fold_n = deal(found.y_n, found.groups_n)
    skipped = "" if calibrate else "not asked for"
    if calibrate and len(found.y_n) < MIN_ROWS:
        skipped = f"{len(found.y_n)} validation rows are too few, it takes {MIN_ROWS}"
    fits = methods(metric, budget)
    finish = calibrated if metric in PROBABILISTIC and not skipped else lambda one: one
    fits = {name: finish(one) for name, one in fits.items()}
    held = {name: cross_fit(one, *rows, fold_n) for name, one in fits.items()}
    name = choose(held, found.y_n, found.groups_n, metric) if method == "auto" else method
    before_nc = after_nc = held[name]
    combination = fits[name](*rows)
    if not skipped:
        plain = methods(metric, budget)[name]
        if metric in PROBABILISTIC:
            before_nc = cross_fit(plain, *rows, fold_n)
        else:
            whole = calibrated(plain)
            combination, after_nc = whole(*rows), cross_fit(whole, *rows, fold_n)
    return FittedEnsemble(
        combination=combination,
        held_nc=after_nc,
        candidates=held,
        calibration=Calibration(
            temperature=combination.temperature,
            before=_quality(before_nc, found.y_n),
            after=_quality(after_nc, found.y_n),
            skipped=skipped,
        ),
        front=front(
            found,
            fold_n,
            metric=metric,
            budget=budget,
            chosen=(name, combination.weights_m, after_nc),
            finish=finish,
        ),
    )


def _quality(probs_nc: np.ndarray, y_n: np.ndarray) -> dict[str, float]:
    return {"nll": nll(probs_nc, y_n), "ece": ece(probs_nc, y_n), "brier": brier(probs_nc, y_n)}
