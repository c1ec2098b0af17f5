"""Printing: tables for people and JSON for programs on stdout, talk on stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer

WIDE = 100_000  # columns of a table that goes into a file or a pipe, where none is ever folded
SCORES = ("", "accuracy", "95 % interval", "balanced", "macro F1", "NLL", "ECE")  # heads above `score_row`


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
        table.add_column(Text(header), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    if title:
        console.print(Text(title, style="italic"))
    console.print(table)


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print name and value pairs, one a line."""
    print_table(("", ""), facts)


def score_row(name: str, figures: Mapping[str, Any]) -> tuple[object, ...]:
    """Return a classifier's line of a table under `SCORES`, from `scoring.scored`."""
    interval = "{:.3f}-{:.3f}".format(*figures["ci95"])
    more = (figures[key] for key in ("balanced_accuracy", "macro_f1", "nll", "ece"))
    return name, figures["accuracy"], interval, *more


def cell(value: object) -> str:
    """Return a value as it stands in a table: four digits of a number, nothing for None, no control characters."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e-3 or abs(value) >= 1e4 else f"{value:.4f}".rstrip("0").rstrip(".")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))


def settings(params: Mapping[str, Any]) -> str:
    """Return parameters as ``name=value`` in one line."""
    return " ".join(f"{name}={cell(value)}" for name, value in params.items())
