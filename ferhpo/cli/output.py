"""Printing: tables for people and JSON for programs on stdout, talk on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer

WIDE = 240  # columns of a table that goes into a file or a pipe


def say(text: str) -> None:
    """Tell the user something that is not a result."""
    typer.echo(text, err=True)


def print_json(value: Any) -> None:
    """Print a result for programs."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Print a result for people: one table, as wide as it needs to be when stdout is no terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold", box=None, pad_edge=False, show_header=any(headers))
    rows = [[cell(value) for value in row] for row in rows]
    for i, header in enumerate(headers):
        numeric = bool(rows) and all(row[i][:1] in "-+0123456789" for row in rows if row[i])
        table.add_column(header, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    if title:
        console.print(Text(title, style="italic"))
    console.print(table)


def print_facts(facts: Iterable[tuple[str, object]], *, title: str | None = None) -> None:
    """Print name and value pairs, one a line."""
    print_table(("", ""), [(name, cell(value)) for name, value in facts], title=title)


def cell(value: object) -> str:
    """Return a value as it stands in a table: four digits of a number, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e-3 or abs(value) >= 1e4 else f"{value:.4f}".rstrip("0").rstrip(".")
    return str(value)


def settings(params: dict[str, Any] | Any) -> str:
    """Return parameters in one line, shortest first the names that people look for."""
    return " ".join(f"{name}={cell(value)}" for name, value in params.items())
