"""Costs and figures of a trial by name, and which points are Pareto-optimal."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ferhpo.study.attrs import COSTS


def nondominated(points: np.ndarray) -> np.ndarray:
    """Tell of each point whether no other one is at least as good in everything and better in something.

    Args:
        points: one a row, greater is better (n, objectives).

    Returns:
        Bool (n,).
    """
    beaten = [bool(((points >= p).all(1) & (points > p).any(1)).any()) for p in points]
    return ~np.array(beaten, bool)


def known(attrs: Mapping[str, Any]) -> dict[str, float]:
    """Return what is known of a trial from its attributes: costs, and the figures of its last epoch."""
    return {**attrs.get(COSTS, {}), **attrs.get("figures", {})}


def by_epoch(attrs: Mapping[str, Any], names: Sequence[str]) -> dict[int, tuple[float, ...]]:
    """Return quantities of a trial by epoch, from its attributes; epochs at which one is not known are left out."""
    rows = {row["epoch"]: known({COSTS: attrs.get(COSTS, {}), **row}) for row in attrs.get("history", [])}
    return {epoch: tuple(row[name] for name in names) for epoch, row in rows.items() if set(names) <= row.keys()}
