"""Writes the command reference in docs/cli.md from what every command says under --help.

uv run python docs/generate_cli.py
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from ferhpo.cli.main import app

PAGE = Path(__file__).with_name("cli.md")
BEGIN, END = "<!-- begin: docs/generate_cli.py -->", "<!-- end: docs/generate_cli.py -->"
WIDTH = 110


def commands(command: Any, path: str = "ferhpo", parent: Any = None) -> Iterator[tuple[str, Any]]:
    """Yield every command below ``command``, itself first: what is typed, and the context that renders its help."""
    context = command.context_class(
        command, info_name=path.split()[-1], parent=parent, terminal_width=WIDTH, max_content_width=WIDTH
    )
    context.help_option_names = ["-h", "--help"]
    yield path, context
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{path} {name}", context)


def reference() -> str:
    """Return the help of every command as Markdown, in plain text whatever the terminal is."""
    before, app.rich_markup_mode = app.rich_markup_mode, None
    try:
        found = [(path, context.get_help()) for path, context in commands(get_command(app))]
    finally:
        app.rich_markup_mode = before
    parts = []
    for path, text in found:
        lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
        parts.append(f"## {path}\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


def generated(page: str) -> str:
    """Return the page with the reference between its two markers."""
    head, rest = page.split(BEGIN)
    return f"{head}{BEGIN}\n\n{reference()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(generated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
