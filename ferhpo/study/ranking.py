"""The order of a study's trials: which are on the Pareto front, which is best, which may join an ensemble."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ferhpo.study.quantities import nondominated
from ferhpo.study.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Aims:
    """What a study searches for.

    Args:
        objectives: their names.
        directions: ``"maximize"`` or ``"minimize"``, one for each.
        metric: the objective that trials are ranked by.
    """

    objectives: Sequence[str]
    directions: Sequence[str]
    metric: str

    @property
    def maximize(self) -> bool:
        """Tell whether more of the metric is better."""
        return self.directions[self.objectives.index(self.metric)] == "maximize"


def front(trials: Sequence[Trial], aims: Aims) -> list[Trial]:
    """Return the COMPLETE trials that keep the constraints and that no other one dominates.

    The best by the metric comes first; with one objective that is the best trial, followed by its equals.
    """
    whole = _ranked([t for t in trials if t.state == "COMPLETE" and t.eligible], aims)
    signs = [1 if direction == "maximize" else -1 for direction in aims.directions]
    points = np.array([[t.objectives[name] for name in aims.objectives] for t in whole]).reshape(-1, len(signs))
    return [t for t, on in zip(whole, nondominated(points * signs), strict=True) if on]


def ranking(trials: Sequence[Trial], aims: Aims) -> list[Trial]:
    """Return the trials that keep the constraints, best first: the front, other COMPLETE ones, PRUNED ones."""
    found = [t for t in trials if t.eligible]
    first = front(found, aims)
    on = {t.number for t in first}
    rest = [t for t in found if t.state == "COMPLETE" and t.number not in on]
    return [*first, *_ranked(rest, aims), *_ranked([t for t in found if t.state == "PRUNED"], aims)]


def candidates(trials: Sequence[Trial], aims: Aims) -> list[Trial]:
    """Return COMPLETE and PRUNED trials that keep the constraints and whose checkpoint is kept, best first.

    Among equals by the metric those on the front come first, as in `ranking`. Repeats are candidates too, but no repeat
    is on the front.
    """
    kept = [t for t in trials if t.state in {"COMPLETE", "PRUNED"} and t.checkpoint and t.eligible]
    first = front([t for t in trials if not t.repeats], aims) if len(aims.objectives) > 1 else ()
    return _ranked(kept, aims, first)


def _ranked(trials: Sequence[Trial], aims: Aims, first: Sequence[Trial] = ()) -> list[Trial]:
    """Return the trials that have a value, best first; among equals those of ``first`` go before the others."""
    sign, ahead = -1 if aims.maximize else 1, {t.number for t in first}
    valued = [(sign * t.value, t.number not in ahead, t.number, t) for t in trials if t.value is not None]
    return [row[-1] for row in sorted(valued, key=lambda row: row[:-1])]
