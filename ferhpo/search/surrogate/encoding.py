"""Parameters of a define-by-run space as numbers, and back: what the surrogate of `fidelity.py` sees.

A configuration is a row with one cell a parameter: a range's value on the unit interval (in the logarithm where the
range is), the place of a choice in its list, and NaN where the space does not ask for the parameter.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Range = FloatDistribution | IntDistribution
MOST_VALUES = 12  # of a parameter that others may depend on: a choice or a small number, hardly a rate


class Encoding:
    """Rows of one set of parameters.

    Args:
        distributions: of every parameter that has been asked for, in an order that stays.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self.distributions = dict(distributions)
        self.names = tuple(self.distributions)
        self.choices = np.array(
            [len(d.choices) if isinstance(d, CategoricalDistribution) else 0 for d in self.distributions.values()]
        )

    @property
    def points(self) -> float:
        """How many configurations there are with every parameter present; infinity where a range has no steps."""
        return math.prod(map(_count, self.distributions.values()), start=1.0)  # a whole number may be too large

    def every(self, rng: np.random.Generator) -> np.ndarray:
        """Return the rows of all `points` in random order (points, parameters)."""
        rows = np.array(list(product(*map(_cells, self.distributions.values()))))
        return rng.permutation(rows)

    def row(self, params: Mapping[str, Any]) -> np.ndarray:
        """Return the row of a configuration, one cell a parameter; old values may lie outside [0, 1]."""
        cells = [
            _to_unit(params[name], distribution) if name in params else math.nan
            for name, distribution in self.distributions.items()
        ]
        return np.array(cells)

    def params(self, row: np.ndarray) -> dict[str, Any]:
        """Return the configuration of a row, each value one that its distribution allows; absent cells are left out."""
        cells = zip(self.distributions.items(), row, strict=True)
        return {name: _from_unit(cell, distribution) for (name, distribution), cell in cells if not math.isnan(cell)}

    def random(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Return ``n`` random rows, every parameter present."""
        rows = rng.random((n, len(self.names)))
        return self._snapped(np.where(self.choices > 0, np.floor(rows * self.choices), rows))

    def mutated(self, rng: np.random.Generator, rows: np.ndarray, width: float) -> np.ndarray:
        """Return rows near others: about a third of the cells are drawn anew, at least one, ranges by ``width``.

        Absent cells are drawn anew, since another choice may make them present.
        """
        n, d = rows.shape
        moves = rng.random((n, d)) < 1 / 3
        moves[np.arange(n), rng.integers(d, size=n)] = True
        anew = self.random(rng, n)
        moved = np.where(self.choices > 0, anew, rows + rng.normal(0, width, (n, d)))
        rows = np.where(np.isnan(rows), anew, np.where(moves, moved, rows))
        return self._snapped(np.where(self.choices > 0, rows, np.clip(rows, 0, 1)))

    def _snapped(self, rows: np.ndarray) -> np.ndarray:
        """Return rows with ranges that have steps on a step."""
        for column, d in enumerate(self.distributions.values()):
            if isinstance(d, Range) and d.step is not None:
                low, high = _ends(d)
                values = low + rows[:, column] * (high - low)
                values = np.exp(values) if d.log else values
                values = np.clip(d.low + np.round((values - d.low) / d.step) * d.step, d.low, d.high)
                rows[:, column] = ((np.log(values) if d.log else values) - low) / (high - low)
        return rows

    def with_fixed(self, rows: np.ndarray, params: Mapping[str, Any]) -> np.ndarray:
        """Return rows with the parameters that are given, whatever the rows had."""
        given = self.row({name: params[name] for name in self.names if name in params})
        return np.where(np.isnan(given), rows, given)

    def offered(self, rng: np.random.Generator, rows: np.ndarray, choices: Mapping[str, Sequence[Any]]) -> np.ndarray:
        """Return rows in which a choice that is not among ``choices`` gives way to one of these at random."""
        for column, (name, d) in enumerate(self.distributions.items()):
            if not isinstance(d, CategoricalDistribution) or not len(choices.get(name, d.choices)) < len(d.choices):
                continue
            places = [d.to_internal_repr(choice) for choice in choices[name] if choice in d.choices]
            gone = ~np.isnan(rows[:, column]) & ~np.isin(rows[:, column], places)
            if gone.any() and places:
                rows[gone, column] = rng.choice(places, size=gone.sum())
        return rows

    def features(self, rows: np.ndarray) -> np.ndarray:
        """Return what a regression sees of rows: a column a range, and one a choice, two of which are 1 apart.

        Whether a parameter is asked for has no column of its own: it follows from the others.

        Returns:
            n x columns; what is absent stands in the middle of its range.
        """
        columns: list[np.ndarray] = []
        for cells, n in zip(rows.T, self.choices, strict=True):
            if n:
                columns += [np.where(cells == i, math.sqrt(0.5), 0.0) for i in range(n)]
            else:
                columns.append(np.where(np.isnan(cells), 0.5, cells))
        return np.column_stack(columns)


class Presence:
    """When a parameter is asked for, learned from trials: where the others have values that they had with it.

    Others are those with few values. Of two that every trial had together, or neither, nobody knows yet which depends
    on which, if one does: as long as that is so neither tells when the other is asked for.

    Args:
        encoding: of the rows.
        rows: of the trials seen, NaN where a parameter was not asked for (n, parameters).
    """

    def __init__(self, encoding: Encoding, rows: np.ndarray) -> None:
        there = ~np.isnan(rows)
        few = [
            n > 0 or _count(d) <= MOST_VALUES
            for n, d in zip(encoding.choices, encoding.distributions.values(), strict=True)
        ]
        self._rules = {
            p: [
                (q, np.unique(rows[there[:, p], q].round(6)))
                for q in range(len(encoding.names))
                if few[q] and there[there[:, p], q].all() and not (there[:, p] == there[:, q]).all()
            ]
            for p in range(len(encoding.names))
            if there[:, p].any() and not there[:, p].all()
        }

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return rows with NaN where a parameter is not asked for."""
        rows = rows.copy()
        for _ in range(3):  # a parameter that goes takes those with it that depend on it
            for p, rule in self._rules.items():
                fits = [np.isin(rows[:, q].round(6), values) for q, values in rule]
                rows[~np.all(fits, axis=0) if fits else slice(0), p] = np.nan
        return rows


class Tried:
    """Tells which rows a trial has had already.

    A trial that lacks some of the row's parameters still counts, since `Presence` may predict one that the space would
    not ask for. Exceptions: trials older than the parameter, and trials that may have failed before they were asked for
    it.

    Args:
        rows: of the trials, in the order of their numbers (n, parameters).
        whole: of each whether it was surely asked for all of its parameters.
        same: of each whether it was of these configurations at all, and not one with something else that was fixed.
    """

    def __init__(self, rows: np.ndarray, whole: Sequence[bool], same: Sequence[bool]) -> None:
        self._rows, self._absent, self._whole = rows.round(6), np.isnan(rows), np.array(whole, bool)[:, None]
        self._same = np.array(same, bool)
        self._first = np.argmin(self._absent, axis=0) if len(rows) else np.zeros(rows.shape[1], int)

    def __call__(self, row: np.ndarray) -> bool:
        """Tell whether a trial has had a row, whose parameters were all asked for of some trial."""
        since = self._first[~np.isnan(row)].max(initial=0)
        absent = self._absent[since:]
        fits = (self._rows[since:] == row.round(6)) | (absent & (self._whole[since:] | np.isnan(row)))
        return bool((fits.all(1) & ~absent.all(1) & self._same[since:]).any())


def _count(distribution: BaseDistribution) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    assert isinstance(distribution, Range)
    low, high, step = distribution.low, distribution.high, distribution.step
    return math.inf if step is None else 1 + round((high - low) / step)


def _cells(distribution: BaseDistribution) -> list[float]:
    """Return the cells of all values of a choice, or of a range with steps."""
    places = range(int(_count(distribution)))
    if isinstance(distribution, CategoricalDistribution):
        return list(places)
    assert isinstance(distribution, Range)
    return [_to_unit(distribution.low + i * (distribution.step or 0), distribution) for i in places]


def _to_unit(value: Any, distribution: BaseDistribution) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.to_internal_repr(value)
    assert isinstance(distribution, Range)
    low, high = _ends(distribution)
    if distribution.log:
        value = math.log(value) if value > 0 else low
    return (value - low) / (high - low) if low < high else 0.0  # two numbers beside each other have one logarithm


def _from_unit(cell: float, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(cell)]
    assert isinstance(distribution, Range)
    low, high = _ends(distribution)
    value = low + cell * (high - low)
    value = math.exp(value) if distribution.log else value
    if distribution.step is not None:
        value = distribution.low + round((value - distribution.low) / distribution.step) * distribution.step
    value = min(max(value, distribution.low), distribution.high)
    return int(value) if isinstance(distribution, IntDistribution) else float(value)


def _ends(distribution: Range) -> tuple[float, float]:
    """Return the ends of a range, half a step wider where there are steps, so that its ends are drawn as often."""
    half = (distribution.step or 0) / 2
    low, high = distribution.low - half, distribution.high + half
    return (math.log(low), math.log(high)) if distribution.log else (low, high)
