"""Writes the reference in docs/cli.md: what every command says under --help, and every key of a study file.

uv run python docs/generate_cli.py
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from typer.main import get_command

from ferhpo.cli.main import app
from ferhpo.space.config import OFF_DIAL, OPERATIONS, RUN_SETTINGS, SETTINGS, TrialConfig
from ferhpo.space.setting import Setting
from ferhpo.space.spec import SECTIONS

COMMAND = "uv run python docs/generate_cli.py"
PAGE = Path(__file__).with_name("cli.md")
BEGIN, END = "<!-- begin: written by docs/generate_cli.py -->", "<!-- end -->"
WIDTH = 110
HELP = ["-h", "--help"]


def commands() -> list[tuple[str, Any]]:
    """Return every command: what is typed, and the context that knows its help and options."""
    before, app.rich_markup_mode = app.rich_markup_mode, None  # plain text, whatever the terminal is
    try:
        return list(_walk(get_command(app), "ferhpo", None))
    finally:
        app.rich_markup_mode = before


def _walk(command: Any, typed: str, parent: Any) -> Iterator[tuple[str, Any]]:
    context = command.context_class(
        command,
        info_name=typed.split()[-1],
        parent=parent,
        max_content_width=WIDTH,
        terminal_width=WIDTH,
        help_option_names=HELP,
    )
    yield typed, context
    for name, below in getattr(command, "commands", {}).items():
        yield from _walk(below, f"{typed} {name}", context)


def reference() -> str:
    """Return the Markdown between the markers."""
    parts = []
    for typed, context in commands():
        lines = "\n".join(line.rstrip() for line in context.get_help().strip().splitlines())
        parts.append(f"## {typed}\n\n```text\n{lines}\n```\n")
    return "\n".join([*parts, sections(), settings()])


def sections() -> str:
    """Return the keys of a study file's sections as Markdown: what the docstrings of their dataclasses say."""
    rows = [
        f"| `[{section}]` | `{f.name}` | {_shown(f.name, f.default)} | {_arguments(made)[f.name]} |"
        for section, made in SECTIONS.items()
        for f in fields(made)
        if section != "data"
    ]
    head = (
        "## Sections of a study file\n\n"
        "Above them stand `description`, `metric` (`accuracy`), `direction` (follows from the metric), `constraints` "
        "and `seed` (0); below them `[[try]]` tables, trials to run first. The README has a whole file, "
        "[data.md](data.md#what-data-of-a-study-file-takes) the keys of `[data]`, "
        "[starting_points.md](starting_points.md) those of `[reported]`.\n\n"
        "| section | key | default | meaning |\n|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def _arguments(made: type) -> dict[str, str]:
    """Return what a docstring says of each argument."""
    said = (inspect.getdoc(made) or "").split("Args:\n")[1]
    entries = (entry.split(":", 1) for entry in re.split(r"\n(?=    \w)", said))
    return {name.strip(): " ".join(text.split()).replace("``", "`") for name, text in entries}


def settings() -> str:
    """Return the table of settings as Markdown."""
    default = TrialConfig().params()
    rows = [
        f"| `{name}` | {_shown(name, default[name])} | {_accepted(setting)} | {setting.doc} |"
        for name, setting in SETTINGS.items()
        if name not in (*RUN_SETTINGS, "frames")  # the budget's, the study's and the data's
    ]
    head = (
        "## Settings\n\n"
        "What `[space]` of a study file may search or fix, and `ferhpo train --set name=value` may change. An entry of "
        "`[space]` is a value, `{ choices = [...], default = ... }`, or `{ low = ..., high = ..., default = ... }` "
        "with `log = true` or `step = ...`; the default is that of the first trial. `when = { optimizer = 'sgd' }` in "
        "it asks for the setting only then; one that has no say (`smoothing` under another loss) is never asked for, "
        "`--set` refuses it, and a search says which fixed one has none. `--set flip=off` takes an operation out, "
        "`--set seed=1` trains with another seed than the study's."
        "\n\n"
        "| setting | default | accepts | meaning |\n|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def _shown(name: str, value: object) -> str:
    if value is None:
        return "the dial's" if name in OPERATIONS and name not in OFF_DIAL else "off"
    return "yes" if value is True else "no" if value is False else f"`{value}`" if value != "" else ""


def _accepted(setting: Setting) -> str:
    if setting.choices:
        return ", ".join(f"`{choice}`" for choice in setting.choices)
    if setting.kind is bool:
        return "true or false"
    if setting.kind is str:
        return "a text"
    low = "" if setting.low is None else f"from {setting.low:g}"
    high = "" if setting.high is None else f" to {setting.high:g}"
    return f"{'a whole number' if setting.kind is int else 'a number'} {low}{high}".rstrip()


def generated(page: str) -> str:
    """Return the page with the reference between its two markers."""
    head, rest = page.split(BEGIN)
    return f"{head}{BEGIN}\n\n{reference()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(generated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
