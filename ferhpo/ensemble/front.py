"""Value against cost: what a smaller ensemble, or a single trial, gives for less."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ferhpo import metrics
from ferhpo.ensemble.cost import Budget
from ferhpo.ensemble.folds import Fit, cross_fit
from ferhpo.ensemble.members import Members
from ferhpo.ensemble.select import fit_selected

COSTS = ("parameters", "latency_ms")  # from the one that is always known to the one that counts most
LEVELS = 6  # budgets that greedy selection is run under, from the cheapest member to what it takes without one


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One predictor with its price.

    Args:
        name: trial 7, greedy of 3, or the chosen method's.
        kind: single, greedy or chosen.
        numbers: its members' trials.
        costs: of all members, one after the other: members, parameters, latency_ms; None where one's is unknown.
        accuracy: on validation rows: cross-fitted for ensembles, as it is for a single trial.
        value: the same of the study's metric.
        best: nothing that costs as little has as good a value (it lies on the Pareto front).
    """

    name: str
    kind: str
    numbers: tuple[int, ...]
    costs: Mapping[str, Any]
    accuracy: float
    value: float
    best: bool = False


def priced(found: Members, members: Sequence[int] | np.ndarray) -> dict[str, Any]:
    """Return what some members cost together, given by index, None where one's cost is unknown."""
    known = found.costs()
    total = {kind: float(known[kind][list(members)].sum()) if kind in known else None for kind in COSTS}
    return {"members": len(members), **total}


def axis(known: Mapping[str, object]) -> str:
    """Return the cost that counts: latency where it was measured, else parameters, else the number of members."""
    return next((kind for kind in reversed(COSTS) if known.get(kind) is not None), "members")


def front(
    found: Members,
    fold_n: np.ndarray,
    *,
    metric: str,
    budget: Budget | None,
    chosen: tuple[str, np.ndarray, np.ndarray],
    finish: Callable[[Fit], Fit] = lambda fit: fit,
) -> tuple[Point, ...]:
    """Return single trials, greedy ensembles under growing budgets and the chosen one, cheapest first.

    Args:
        found: all candidate members.
        fold_n: the fold of each row.
        metric: the study's.
        budget: the user's, which holds for all ensembles.
        chosen: name, weights and cross-fitted ``probs_nc`` of the method in use.
        finish: what is done to the chosen method's fit, a temperature where the metric asks for probabilities.

    References:
        Maier et al. 2024, Hardware Aware Ensemble Selection for Balancing Predictive Accuracy and Cost,
        arXiv 2408.02280.
    """
    known = found.costs()
    cost_m = known.get(axis(known), np.ones(len(found.numbers)))

    def point(name: str, kind: str, members: Sequence[int] | np.ndarray, probs_nc: np.ndarray) -> Point:
        figures = metrics.figures(probs_nc, found.y_n)
        return Point(
            name=name,
            kind=kind,
            numbers=tuple(found.numbers[m] for m in members),
            costs=priced(found, members),
            accuracy=figures["accuracy"],
            value=figures[metric],
        )

    points = [point(f"trial {n}", "single", [m], found.probs_mnc[m]) for m, n in enumerate(found.numbers)]
    name, weights_m, held_nc = chosen
    taken = {tuple(np.flatnonzero(weights_m))}
    points.append(point(name, "chosen", np.flatnonzero(weights_m), held_nc))
    for fit in _under_growing_budgets(found, cost_m, metric, budget):
        members = np.flatnonzero(fit(found.probs_mnc, found.y_n, found.groups_n).weights_m)
        if len(members) > 1 and tuple(members) not in taken:
            taken.add(tuple(members))
            held_nc = cross_fit(finish(fit), found.probs_mnc, found.y_n, found.groups_n, fold_n)
            points.append(point(f"greedy of {len(members)}", "greedy", members, held_nc))
    return _marked(points, metric)


def _under_growing_budgets(found: Members, cost_m: np.ndarray, metric: str, budget: Budget | None) -> list[partial]:
    """Return greedy fits, the cheapest first, the last one under the user's budget alone."""
    free = partial(fit_selected, method="greedy", metric=metric, budget=budget)
    total = float(cost_m[free(found.probs_mnc, found.y_n, found.groups_n).weights_m > 0].sum())
    limits = np.geomspace(cost_m.min(), total, LEVELS)[1:-1] if total > cost_m.min() > 0 else []
    old = Budget(costs_bm=np.empty((0, len(cost_m))), limits_b=np.empty(0)) if budget is None else budget
    budgets = [
        Budget(costs_bm=np.vstack([old.costs_bm, cost_m]), limits_b=np.append(old.limits_b, limit)) for limit in limits
    ]
    started = [b for b in budgets if b.allowed(np.zeros(len(cost_m), bool)).any()]
    return [*(partial(fit_selected, method="greedy", metric=metric, budget=b) for b in started), free]


def _marked(points: Sequence[Point], metric: str) -> tuple[Point, ...]:
    """Return the points by cost, those of the Pareto front marked."""
    sign = 1 if metrics.metric(metric).maximize else -1
    kind = axis(points[0].costs)
    ordered = sorted(points, key=lambda p: (p.costs[kind] or 0, -sign * p.value))
    highest, marked = -np.inf, []
    for point in ordered:
        best = sign * point.value > highest
        highest = max(highest, sign * point.value)
        marked.append(replace(point, best=best))
    return tuple(marked)
