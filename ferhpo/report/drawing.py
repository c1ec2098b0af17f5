"""What charts have in common: colours, axes, points, labels.

Colours of text, grid and paper are left out: the page fills them in, light or dark (`page.js`). A text that came with a
study passes `html.escape` first, since plotly reads a subset of HTML in every label.
"""

from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ferhpo.report.pick import col

Figure = go.Figure
STATES = {  # readable on white and on near-black, and apart for colour-blind eyes
    "COMPLETE": "#3b82d6",
    "PRUNED": "#9a8fb5",
    "FAIL": "#d6524a",
    "INTERRUPTED": "#d98a2b",
    "RUNNING": "#2a9d74",
    "WAITING": "#8a949e",
    "REPEAT": "#b8a13a",
}
BEST = "#e07b00"
ACCENT = STATES["COMPLETE"]


def near(figure: Figure) -> Figure:
    """Return a chart of points whose values are all equal with an axis close to them: plotly's goes 1 up and down."""
    traces: list[dict[str, Any]] = list(figure.to_plotly_json()["data"])
    if any(trace["type"] != "scatter" or trace.get("error_x", {}).get("array") for trace in traces):
        return figure
    for name, axis in (("x", figure.layout.xaxis), ("y", figure.layout.yaxis)):
        values = {value for trace in traces for value in trace.get(name) or () if value is not None}
        if len(values) != 1 or axis.range is not None or axis.type == "log":
            continue
        value = values.pop()
        if isinstance(value, (int, float)) and (name == "y" or value % 1):  # along x epochs and trials are counted
            room = abs(value) / 20 or 0.01
            axis.range = [value - room, value + room]
    return figure


def blank(*, x: str, y: str, height: int = 340, legend: bool = True) -> Figure:
    """Return a figure with titled axes and nothing in it; sizes in pixels."""
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 56, "r": 16, "t": 34 if legend else 12, "b": 48},
        showlegend=legend,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "xanchor": "left"},
        colorway=["#3b82d6", "#e07b00", "#2a9d74", "#b561c4", "#c9a227", "#5aa9c9", "#d6524a", "#8a949e"],
        hoverlabel={"namelength": 0},
    )
    for update, title in ((figure.update_xaxes, x), (figure.update_yaxes, y)):
        update(title={"text": escape(title), "standoff": 8}, automargin=True, zeroline=False, showline=False)
    return figure


def points(
    figure: Figure, some: pd.DataFrame, column: str, name: str, marker: dict[str, Any], told: str, **more: Any
) -> None:
    """Add a marker for every row: its value over a column; ``told`` is what is said of one, ``more`` what differs."""
    plain = {
        "x": listed(some, column),
        "y": listed(some, "value"),
        "customdata": more.get("customdata") or listed(some, "number"),
        "mode": "markers",
    }
    figure.add_scatter(**{**plain, "name": name, "marker": marker, "hovertemplate": told, **more})


def hover(title: str, metric: str, of: str = "trial ") -> str:
    """Return what is said of a point under the pointer."""
    return f"{of}%{{customdata}}<br>{escape(title)} %{{x:.4g}}<br>{escape(metric)} %{{y:.4f}}"


def label(value: object) -> str:
    """Return a value as a label."""
    return escape(str(value))


def listed(table: pd.DataFrame, column: str) -> list[Any]:
    """Return a column with None for what is missing."""
    return [None if value != value else value for value in col(table, column).tolist()]  # NaN is no JSON
