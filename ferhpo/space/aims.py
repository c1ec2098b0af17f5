"""What a study is after: objectives by name, whose directions are known, and constraints on the same quantities."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Self

from ferhpo.errors import UsageError, did_you_mean
from ferhpo.metrics import COST_METRICS, METRICS, QUANTITIES, SHARES, quantity

_WRITTEN = re.compile(r"\s*([^\s<>=!]+)\s*(<=|>=)\s*([^\s<>=!]+)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A limit that a trial keeps or breaks, as a study file writes it: ``latency_ms <= 5``.

    Args:
        quantity: one of `metrics.QUANTITIES`.
        upper: the limit is the most (``<=``), else the least (``>=``).
        limit: a finite number.
    """

    quantity: str
    upper: bool
    limit: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a constraint.

        Raises:
            UsageError: it is not written like ``params <= 2e6``, its quantity is unknown, or nothing can keep it.

        >>> str(Constraint.parse("params<=2e6"))
        'params <= 2000000'
        """
        match = _WRITTEN.fullmatch(text)
        try:
            limit = float(match[3]) if match else float("nan")
        except ValueError:
            limit = float("nan")
        if match is None or not isfinite(limit):
            msg = f"a constraint is written like 'latency_ms <= 5' or 'accuracy >= 0.6', got '{text}'"
            raise UsageError(msg)
        name, upper = match[1], match[2] == "<="
        if name not in QUANTITIES:
            msg = f"a constraint takes a known quantity, got '{name}' in '{text}'{did_you_mean(name, QUANTITIES)}"
            raise UsageError(msg)
        least = limit < 0 or (limit == 0 and name in COST_METRICS)
        if (upper and least) or (not upper and name in SHARES and limit > 1):
            msg = f"no trial can satisfy the constraint '{text}'; correct the number"
            raise UsageError(msg)
        return cls(quantity=name, upper=upper, limit=limit)

    def excess(self, value: float) -> float:
        """Return by how much a value breaks the limit: above 0 where it does, as Optuna counts it."""
        return value - self.limit if self.upper else self.limit - value

    def __str__(self) -> str:
        """Return the constraint as a study file writes it."""
        return f"{self.quantity} {'<=' if self.upper else '>='} {self.limit:.12g}"


def check_objectives(names: Sequence[str]) -> tuple[str, ...]:
    """Return objectives that a study can have.

    Raises:
        UsageError: one is unknown or named twice, or none of them is a figure that grows while a trial trains.
    """
    for name in names:
        quantity(name)
    if len(set(names)) < len(names):
        msg = f"a study names each objective once, got {', '.join(names)}"
        raise UsageError(msg)
    if not any(name in METRICS for name in names):
        got = ", ".join(names) or "none"
        msg = (
            f"a study needs a validation figure among its objectives, which trials are ranked by while they train, got "
            f"{got}; add accuracy, or write a cost as a constraint"
        )
        raise UsageError(msg)
    return tuple(names)


def check_constraints(texts: Sequence[str]) -> tuple[Constraint, ...]:
    """Return a study's constraints.

    Raises:
        UsageError: `Constraint.parse` refuses one, or two of them contradict each other.
    """
    found = tuple(Constraint.parse(text) for text in texts)
    for name in {c.quantity for c in found}:
        most = min((c.limit for c in found if c.quantity == name and c.upper), default=float("inf"))
        least = max((c.limit for c in found if c.quantity == name and not c.upper), default=float("-inf"))
        if least > most:
            msg = f"constraints contradict each other: {name} >= {least:g} and {name} <= {most:g}; correct one of them"
            raise UsageError(msg)
    return found


def broken(constraints: Sequence[Constraint], known: Mapping[str, float], *, whole: bool) -> str | None:
    """Return what a trial breaks, in words, None while it keeps everything that can be told.

    Args:
        constraints: the study's.
        known: quantities of the trial so far.
        whole: the trial has had its epochs; before, only costs are judged, since figures still improve.
    """
    told = excesses(constraints, known, whole=whole)
    found = [f"{c}, got {_written(known[c.quantity])}" for c, by in zip(constraints, told, strict=True) if by > 0]
    return "; ".join(found) or None


def excesses(constraints: Sequence[Constraint], known: Mapping[str, float], *, whole: bool) -> list[float]:
    """Return `Constraint.excess` of each constraint, 0 where nothing can be told; arguments as `broken`."""
    return [
        c.excess(known[c.quantity]) if c.quantity in known and (whole or c.quantity in COST_METRICS) else 0.0
        for c in constraints
    ]


def _written(value: float) -> str:
    return f"{value:.6g}" if value % 1 else f"{value:.0f}"
