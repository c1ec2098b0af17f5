"""`ferhpo data inspect --html`: one page of tables and contact sheets, which opens offline and loads nothing."""

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ferhpo import _atomic
from ferhpo.data.problems import Problem
from ferhpo.data.raw import RawData
from ferhpo.report.document import document
from ferhpo.report.markup import Html, count, join, table, tag, text

GROUPS = 40  # of a contact sheet
IMAGES = 6  # of a group
SIDE = 96  # pixels that an image is shown with
SHEET = """
.sheet { display: flex; flex-wrap: wrap; gap: 0.75rem; margin: 0.6rem 0; }
.group { display: flex; gap: 2px; padding: 4px; background: var(--card); border: 1px solid var(--line); }
.group figure { margin: 0; width: 96px; } .group img { display: block; image-rendering: pixelated; }
.group figcaption { font-size: 0.72rem; line-height: 1.3; overflow-wrap: anywhere; }
"""


def write_data_page(
    path: Path, name: str, raw: RawData, facts: Mapping[str, Any], found: Sequence[Problem], frames: int = 1
) -> Path:
    """Write the page in one step, over what stands at ``path``.

    Args:
        path: the HTML file; its folder is made.
        name: what the data are called.
        raw: the images.
        facts: what `inspect` returned.
        found: the problems, each with a contact sheet of its worst groups.
        frames: of a sample, whose last one is shown.

    Returns:
        The absolute path.

    Raises:
        UsageError: it cannot be written.
    """
    content = page(name, raw, facts, found, frames)
    with _atomic.for_user(path):
        _atomic.write_text(path, content)
    return path.resolve()


def page(name: str, raw: RawData, facts: Mapping[str, Any], found: Sequence[Problem], frames: int = 1) -> str:
    """Return the page as HTML; arguments as `write_data_page`."""
    raw = replace(raw, images=raw.images[..., -(raw.images.shape[-1] // frames) :])
    shown = [problem for problem in found if problem.rows]
    links = [(problem.name, problem.title) for problem in shown]
    parts = [
        tag("section", tag("h2", "Classes"), _classes(facts)),
        tag("section", tag("h2", "Between the splits"), _between(facts)),
        *(_section(problem, raw) for problem in shown),
    ]
    return document(name, "ferhpo data", _subtitle(facts), links, parts, style=SHEET, charts=False)


def _subtitle(facts: Mapping[str, Any]) -> str:
    size, unique = facts["size"], text(facts["unique_images"])
    largest = f"the largest class has {text(facts['imbalance'])} times the images of the smallest"
    return f"{count(facts['rows'], 'image')} at {size}x{size}, {unique} different ones; {largest}."


def _classes(facts: Mapping[str, Any]) -> Html:
    classes = {name: f"class {name}" for name in facts["classes"]}  # one may be called as a column is
    head = {"split": "split", "rows": "rows"} | {key: name for name, key in classes.items()}
    body = [
        {"split": split, "rows": found["rows"]} | {key: found["counts"][name] for name, key in classes.items()}
        for split, found in facts["splits"].items()
    ]
    return table(head, body)


def _between(facts: Mapping[str, Any]) -> Html:
    head = {"pair": "splits", "same": "identical", "near": "nearly the same"}
    near, people = facts["cross_split_near_duplicates"], facts["cross_split_groups"]
    if people:
        head["group"] = "of one group"
    rows = [
        {"pair": pair, "same": n, "near": near[pair], "group": people.get(pair)}
        for pair, n in facts["cross_split_duplicates"].items()
    ]
    note = "Rows of the second split whose image, or person or other group, stands in the first."
    return join([tag("p", note, class_="soft"), table(head, rows)]) if rows else tag("p", "There is one split alone.")


def _section(problem: Problem, raw: RawData) -> Html:
    several = max(map(len, problem.rows)) > 1
    found = count(problem.count, "row") + (f" in {count(len(problem.rows), 'group')}" if several else "")
    more = f"; the first {GROUPS} are shown" if len(problem.rows) > GROUPS else ""
    sheet = tag("div", *(_group(rows, raw) for rows in problem.rows[:GROUPS]), class_="sheet")
    title = tag("h2", problem.title.capitalize(), id=problem.name)
    return tag("section", title, tag("p", f"{found}{more}.", class_="soft"), sheet)


def _group(rows: Sequence[int], raw: RawData) -> Html:
    figures = [_figure(row, raw) for row in rows[:IMAGES]]
    more = tag("figcaption", f"and {len(rows) - IMAGES} more") if len(rows) > IMAGES else None
    return tag("div", *figures, more, class_="group")


def _figure(row: int, raw: RawData) -> Html:
    label, part = raw.classes[raw.labels[row]], str(raw.part[row])
    file = "" if raw.files is None else f" {raw.files[row].name}"
    said = f"{row}{file}: {label}{', ' if part else ''}{part}"
    picture = tag("img", src=_png(raw.images[row]), alt=f"row {row}", width=SIDE, height=SIDE)
    return tag("figure", picture, tag("figcaption", said))


def _png(image: np.ndarray) -> str:
    out = io.BytesIO()
    picture = Image.fromarray(image if image.shape[-1] == 3 else image[..., 0])
    picture.thumbnail((SIDE, SIDE))
    picture.save(out, "PNG")
    return f"data:image/png;base64,{b64encode(out.getvalue()).decode()}"
