"""The sampler `grid`: every point once, in random order, however often a search is begun again; and where that ends.

Optuna's goes by a point's place in a list that its seed shuffles, so after a changed seed or range it would repeat
points and leave others out. Here a point was visited if a trial has its whole configuration.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from ferhpo.search.budget import Limits
from ferhpo.search.events import Emit, Note
from ferhpo.space.dimension import Dimension
from ferhpo.space.space import Space
from ferhpo.space.spec import StudySpec
from ferhpo.study.attrs import VOID
from ferhpo.study.current import unsearched
from ferhpo.study.queue import QUEUED, point_of, settings

if TYPE_CHECKING:
    from ferhpo.study.writer import StudyWriter

Values = Mapping[str, Sequence[Any]]
Key = tuple[Any, ...]
MOST = 100_000  # points, all of which are looked at for a trial near the end


class Grid(BaseSampler):
    """Proposes the points of a grid that no trial of the study has; when none is left, the first again.

    Args:
        values: of each parameter.
        space: the study file's.
        seed: of the order of the points.
    """

    def __init__(self, values: Values, space: Space, seed: int) -> None:
        self._names, self._space = tuple(values), space
        self._known: dict[int, Key | None] = {}  # points of the trials that have a configuration
        points = list(product(*values.values()))
        order = np.random.default_rng(seed).permutation(len(points))
        self._points = {_key(points[i]): points[i] for i in order}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return nothing: a trial's point is known from the parameters that it has so far."""
        del study, trial
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing."""
        del study, trial, search_space
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the parameter's value at the first point left that has the parameters that the trial has so far."""
        del param_distribution
        others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        visited = _visited(others, self._names, self._space, self._known)
        given = settings(trial)
        told = [(i, _key([given[name]])[0]) for i, name in enumerate(self._names) if name in given]
        fits = [key for key in self._points if all(key[i] == value for i, value in told)] or list(self._points)
        key = next((key for key in fits if key not in visited), fits[0])
        return self._points[key][self._names.index(param_name)]


def grid(spec: StudySpec) -> Values:
    """Return the values of each dimension of a study's grid; one that no trial is asked for is none of its axes.

    Raises:
        SpecError: it has more than `MOST` points.
    """
    never = spec.space.unreachable
    dimensions = [d for d in spec.space.dimensions if d.name not in never]
    size = max(map(_steps, dimensions), default=1)
    if size <= MOST:  # else the values of one dimension are already too many to write down
        values = {d.name: d.grid(spec.sampler.points) for d in dimensions}
        size = prod(map(len, values.values()))
        if size <= MOST:
            return values
    msg = (
        f"grid takes at most {MOST} points, got at least {size}; give fewer choices, larger steps or fewer points, or "
        'name the sampler "random"'
    )
    raise spec.error(msg, "sampler", "name")


def within_grid(writer: "StudyWriter", limits: Limits, emit: Emit) -> Limits:
    """Return limits that end a search over a grid with its last point, and say so; those of another one as they are."""
    if not _ends(writer.spec):
        return limits
    points, left = _counted(writer)
    begun = (t for t in writer.reader.searched.get_trials(deepcopy=False) if not t.state.is_finished())
    under_way = sum(
        "config" in t.user_attrs or QUEUED in t.system_attrs for t in begun
    )  # others take a point of `left`
    total = writer.count() + under_way + left
    if total >= limits.trials:
        return limits
    emit(Note(text=f"of the grid's {points} points {left} are left: the search ends with {total} trials"))
    return replace(limits, trials=total)


def exhausted(writer: "StudyWriter") -> bool:
    """Tell whether a study searches a grid of which no point is left, so that no larger total brings another trial."""
    return _ends(writer.spec) and not (writer.waiting() or writer.queued() or _counted(writer)[1])


def _ends(spec: StudySpec) -> bool:
    return spec.sampler.name == "grid" and spec.scheduler.name != "pbt"  # whose copies stand on no point


def _counted(writer: "StudyWriter") -> tuple[int, int]:
    """Return how many points a study's grid has, and how many of them no trial has."""
    values = grid(writer.spec)
    points = {_key(point) for point in product(*values.values())}
    visited = _visited(writer.reader.searched.get_trials(deepcopy=False), tuple(values), writer.spec.space, {})
    return len(points), len(points - visited)


def _steps(dimension: Dimension) -> int:
    low, high, step = dimension.low, dimension.high, dimension.step
    return 1 if low is None or high is None or step is None else 1 + round((high - low) / step)


def _visited(
    trials: Sequence[FrozenTrial], names: Sequence[str], space: Space, known: dict[int, Key | None]
) -> set[Key]:
    """Return the points of trials; ``known`` keeps those of trials that have begun, whose points stay."""
    fixed, found = unsearched(space), set[Key | None]()
    for t in trials:
        if t.user_attrs.get(VOID):  # it may never have begun
            continue
        point = known[t.number] if t.number in known else _point(t, names, space, fixed)
        if "config" in t.user_attrs:
            known[t.number] = point
        found.add(point)
    return {point for point in found if point is not None}


def _point(trial: FrozenTrial, names: Sequence[str], space: Space, fixed: Mapping[str, Any]) -> Key | None:
    given = point_of(trial, space, fixed)
    return None if given is None or not given.keys() >= set(names) else _key([given[name] for name in names])


def _key(values: Sequence[Any]) -> Key:
    """Return values in a form in which a range's end that was computed equals the one that was written."""
    return tuple(f"{v:.9g}" if isinstance(v, (int, float)) else v for v in values)
