"""`[[try]]`: configurations that a user wants to see run, in a study file or in a file of their own."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferhpo.errors import SpecError, UsageError
from ferhpo.space.files import in_tables
from ferhpo.space.lines import line_in_try
from ferhpo.space.space import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """A configuration to run before the sampler proposes anything.

    Args:
        given: what the user wrote, which tells one try from another in every later run.
        params: the same with the default of every other dimension that applies.
    """

    given: Mapping[str, Any]
    params: Mapping[str, Any]


def read_tries(path: Path, space: Space) -> tuple[Try, ...]:
    """Read a file of `[[try]]` tables and nothing else.

    Raises:
        SpecError: it cannot be read, or a try does not fit the space; the message has file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # as `spec.parse_spec`
        table = tomllib.loads(text)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        msg = f"a file of [[try]] tables must be readable TOML: {reason}"
        raise SpecError(msg, path) from None
    if set(table) != {"try"}:
        got = ", ".join(f"'{key}'" for key in table if key != "try") or "none of them"
        msg = f"a file of settings to try holds [[try]] tables alone, got {got}"
        raise SpecError(msg, path)
    return parse_tries(in_tables(table["try"], path.parent), space, text=text, path=path)


def parse_tries(tables: Any, space: Space, *, text: str, path: Path | str) -> tuple[Try, ...]:
    """Return the tries of a file's `try` entry.

    Args:
        tables: what TOML made of it.
        space: what they are points of.
        text: the file's, to find a line in.
        path: the file's, for messages.

    Raises:
        SpecError: one does not fit the space; the message has file and line.
    """
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        msg = f"settings to try are written as [[try]] tables, got {tables!r}"
        raise SpecError(msg, path, line_in_try(text, 0))
    return tuple(_one(given, space, text, path, i) for i, given in enumerate(tables))


def _one(given: Mapping[str, Any], space: Space, text: str, path: Path | str, index: int) -> Try:
    if not given:
        msg = "a [[try]] needs at least one setting: the default configuration runs first in any case"
        raise SpecError(msg, path, line_in_try(text, index))
    try:
        return Try(given=given, params=space.point(given))
    except UsageError as error:
        named = next((key for key in given if re.search(rf"\b{re.escape(key)}\b", str(error))), "")
        msg = f"[[try]]: {error}"
        raise SpecError(msg, path, line_in_try(text, index, named)) from None
