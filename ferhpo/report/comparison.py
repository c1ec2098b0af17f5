"""`ferhpo compare` as one page: the table, then curves and confusion matrices of each system."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ferhpo import _atomic
from ferhpo.report import classifier_plots, frames, plots, validation_frames
from ferhpo.report.document import document
from ferhpo.report.markup import Html, join, prose, table, tag
from ferhpo.report.parts import chart
from ferhpo.report.pick import col
from ferhpo.study.study import Study

CURVES = {"value": None, "train_loss": "training loss", "nll": "validation loss"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the page shows of one system.

    Args:
        name: the system's.
        description: a line for people.
        notes: what must be read before the figures.
        studies: a title and a study each: as described, searched.
        confusions: a title, and counts by label and answer on the test rows.
        classes: their names.
    """

    name: str
    description: str
    notes: Sequence[str]
    studies: Sequence[tuple[str, Study]]
    confusions: Sequence[tuple[str, Sequence[Sequence[int]]]]
    classes: Sequence[str]


def write_comparison(
    path: Path,
    lead: str,
    heads: Mapping[str, str],
    lines: Sequence[Mapping[str, Any]],
    systems: Sequence[Shown],
    *,
    marked: Sequence[int] = (),
) -> Path:
    """Write the page in one step, over what stands at ``path``.

    Args:
        path: the HTML file.
        lead: what was compared, in a sentence or two.
        heads: column -> what stands above it.
        lines: the table's, as `markup.table` takes them.
        systems: what follows it.
        marked: lines that stand out, from 0.

    Returns:
        The absolute path.
    """
    links = [("table", "Table"), *((system.name, system.name) for system in systems)]
    whole = tag("div", table(heads, lines, marked=marked), class_="whole")  # it is what the page is for
    parts: list[object] = [tag("section", tag("h2", "Table", id="table"), whole)]
    parts += [tag("section", tag("h2", s.name, id=s.name), _system(s)) for s in systems]
    _atomic.write_text(path, document("Comparison", "ferhpo compare", lead, links, parts))
    return path.resolve()


def _system(system: Shown) -> Html:
    charts = [drawn for title, study in system.studies for drawn in _curves(title, study)]
    matrices = [_matrix(title, counts, system.classes) for title, counts in system.confusions]
    return join(
        [
            tag("p", system.description, class_="soft"),
            *(tag("p", prose(note), class_="note") for note in system.notes),
            tag("div", *charts, class_="pair") if charts else None,
            tag("div", *matrices, class_="pair") if matrices else None,
        ]
    )


def _curves(title: str, study: Study) -> list[Html]:
    found, best = study.trials(), study.best()
    points = frames.curves(found)
    drawn = []
    for column, name in CURVES.items():
        if column in points.columns and bool(col(points, column).notna().any()):
            what = name or study.metric
            if column == "value" and study.metric == "nll":
                continue
            figure = plots.curves(points, column, what, None if best is None else best.number, legend=column == "value")
            drawn.append(chart(figure, f"{title}: {what} after each epoch."))
    return drawn


def _matrix(title: str, counts: Sequence[Sequence[int]], classes: Sequence[str]) -> Html:
    index = pd.Index(list(classes))
    found = pd.DataFrame([list(row) for row in counts], index=index, columns=index)
    return chart(
        classifier_plots.confusion(found, validation_frames.shares(found)), f"{title}: test rows, by label and answer."
    )
