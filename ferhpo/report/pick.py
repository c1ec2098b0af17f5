"""Columns and rows of a frame with types that a checker can follow: pandas' own say that anything may come back."""

from collections.abc import Sequence
from typing import Any

import pandas as pd


def col(table: pd.DataFrame, name: str) -> Any:
    """Return one column, a Series."""
    return table[name]


def rows(table: pd.DataFrame, mask: Any) -> pd.DataFrame:
    """Return the rows for which the mask is true."""
    return pd.DataFrame(table[mask])


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dictionaries by column."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def total(table: pd.DataFrame, name: str) -> float:
    """Return the sum of a column, what is missing left out."""
    return float(col(table, name).sum())


def chosen(value: object, choices: Sequence[object]) -> object:
    """Return a value as it stands among choices: pandas makes 64 of a column that has gaps 64.0."""
    return next(
        (choice for choice in choices if choice == value and isinstance(choice, bool) == isinstance(value, bool)), value
    )
