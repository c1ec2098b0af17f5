"""Paths of images and weights, made absolute where they are read: workers and cards know no folder to see them from."""

import os
from pathlib import Path
from typing import Any

KEY = "weights"  # of `[space]`, `[[try]]` and --set


def absolute(path: Path) -> Path:
    """Return a path that means the same in any folder; a link stays one, since images may lie beside it."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - `Path.absolute` keeps "..", `resolve` follows links


def placed(weights: str, base: Path) -> str:
    """Return a relative path as the absolute one that it is in a folder; an absolute one, one from ~ and none stay."""
    if not weights or weights.startswith("~") or Path(weights).is_absolute():
        return weights
    return os.path.normpath(base.resolve() / weights)


def in_tables(value: Any, base: Path, *, named: bool = False) -> Any:
    """Return settings by name, `[space]` or `[[try]]` tables with every path of weights absolute.

    Args:
        value: the settings or tables, or a part of them.
        base: the folder that relative paths start from.
        named: it is what weights are set to: a path, or choices and a default.
    """
    if isinstance(value, dict):
        return {key: in_tables(v, base, named=key == KEY or (named and key != "when")) for key, v in value.items()}
    if isinstance(value, list):
        return [in_tables(one, base, named=named) for one in value]
    return placed(value, base) if named and isinstance(value, str) else value
