"""Charts of the tables in `frames`, drawn with plotly and nothing computed.

Colours of text, grid and paper are left out: the page fills them in, light or dark (`page.js`). A text that came with a
study passes `html.escape` first, since plotly reads a subset of HTML in every label.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from ferhpo.report.pick import chosen, col, records, rows
from ferhpo.space.dimension import Dimension

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
FAINT = {"COMPLETE": "rgba(59,130,214,0.35)", "PRUNED": "rgba(154,143,181,0.45)"}


def library() -> str:
    """Return plotly.js, which draws the charts in a browser."""
    return get_plotlyjs()


def history(table: pd.DataFrame, metric: str) -> Figure:
    """Draw the value of each ended trial in the order they ended, and the best so far."""
    figure = _figure(x="trials ended", y=metric)
    _add_trials(figure, table, "order", f"trial %{{customdata}}<br>{escape(metric)} %{{y:.4f}}")
    line = {"color": BEST, "width": 2, "shape": "hv"}
    figure.add_scatter(
        x=_list(table, "order"), y=_list(table, "best"), mode="lines", name="best so far", line=line, hoverinfo="skip"
    )
    return figure


def standing(table: pd.DataFrame, metric: str) -> Figure:
    """Draw the running ensemble and the best single trial over the trials that had ended."""
    figure = _figure(x="trials ended", y=metric)
    for column, name, color in (("ensemble", "greedy ensemble", BEST), ("single", "best single trial", ACCENT)):
        line = {"color": color, "width": 2, "shape": "hv"}
        found = f"{name} %{{y:.4f}}"
        figure.add_scatter(
            x=_list(table, "trials"), y=_list(table, column), mode="lines", name=name, line=line, hovertemplate=found
        )
    return figure


def curves(table: pd.DataFrame, column: str, title: str, best: int | None, *, legend: bool = True) -> Figure:
    """Draw one line per trial over its epochs; the best trial stands out."""
    figure = _figure(x="epoch", y=title, legend=legend)
    figure.update_xaxes(dtick=1 if col(table, "epoch").max() <= 12 else None)
    table = rows(table, col(table, column).notna())
    grey = "rgba(138,148,158,0.5)"
    others = rows(table, col(table, "number") != best)
    for state, some in others.groupby("state", sort=False):
        x, y, numbers = [], [], []
        for number, line in some.groupby("number", sort=False):
            x += [*line["epoch"].tolist(), None]
            y += [*line[column].tolist(), None]
            numbers += [number] * (len(line) + 1)
        figure.add_scatter(
            x=x,
            y=y,
            customdata=numbers,
            mode="lines+markers",
            name=str(state),
            line={"color": FAINT.get(str(state), grey), "width": 1.5},
            marker={"size": 4, "color": STATES[str(state)]},
            hovertemplate="trial %{customdata}, epoch %{x}<br>%{y:.4f}",
        )
    some = rows(table, col(table, "number") == best)
    if len(some):
        figure.add_scatter(
            x=_list(some, "epoch"),
            y=_list(some, column),
            mode="lines+markers",
            name=f"best trial ({best})",
            line={"color": BEST, "width": 2.5},
            marker={"size": 6},
            hovertemplate=f"trial {best}, epoch %{{x}}<br>%{{y:.4f}}",
        )
    return figure


def importances(table: pd.DataFrame) -> Figure:
    """Draw one bar per parameter, the most important on top."""
    figure = _figure(x="share of the importance", y="", height=90 + 28 * len(table), legend=False)
    names, shares = [_label(p) for p in table["parameter"]], _list(table, "importance")
    figure.add_bar(x=shares, y=names, orientation="h", marker={"color": ACCENT}, hovertemplate="%{y}: %{x:.2f}")
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    return figure


def slices(table: pd.DataFrame, parameter: str, column: str, metric: str, dimension: Dimension | None) -> Figure:
    """Draw the value of each ended trial against one parameter.

    Args:
        table: the trials with a value.
        parameter: its name, the axis' title.
        column: its column in the table.
        metric: what the value is.
        dimension: its range or choices, for the axis; None if unknown.
    """
    figure = _figure(x=parameter, y=metric, height=240, legend=False)
    table = rows(table, col(table, column).notna())
    offered = () if dimension is None else dimension.choices
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in col(table, column))
    choices = offered or (() if numeric else tuple(dict.fromkeys(col(table, column))))
    if not choices:
        figure.update_xaxes(type="log" if dimension is not None and dimension.log else "linear")
    else:
        order = {"categoryorder": "array", "categoryarray": [_label(c) for c in choices]}
        figure.update_xaxes(type="category", range=[-0.5, len(choices) - 0.5], **order)
    told = f"trial %{{customdata}}<br>{escape(parameter)} %{{x}}<br>{escape(metric)} %{{y:.4f}}"
    _add_trials(figure, table, column, told, choices=choices)
    return figure


def budget(table: pd.DataFrame) -> Figure:
    """Draw which state took what share of trials, epochs and time."""
    figure = _figure(x="", y="", height=210)
    bars = {"trials": "trials_share", "epochs": "epochs_share", "time": "seconds_share"}
    for entry in records(table):
        shares = [entry[column] for column in bars.values()]
        figure.add_bar(
            x=shares,
            y=list(bars),
            orientation="h",
            name=entry["state"],
            marker={"color": STATES[entry["state"]]},
            hovertemplate="%{x:.0%} of %{y}",
        )
    figure.update_layout(barmode="stack", legend={"traceorder": "normal"})
    figure.update_xaxes(tickformat=".0%", range=[0, 1.001], dtick=0.25)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def against(table: pd.DataFrame, column: str, title: str, metric: str) -> Figure:
    """Draw the value of each ended trial against what it cost, on a log axis, one colour an architecture."""
    figure = _figure(x=title, y=metric, height=300)
    some = rows(table, col(table, column) > 0)
    for arch, group in some.groupby(col(some, "arch").fillna("unknown"), sort=True):
        _points(figure, group, column, _label(arch), {"size": 8, "opacity": 0.85}, _told(title, metric))
    figure.update_xaxes(type="log")
    return figure


def reliability(table: pd.DataFrame) -> Figure:
    """Draw how often answers are right by how sure they are; on the diagonal a probability means what it says."""
    figure = _figure(x="confidence", y="accuracy", height=340, legend=False)
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": STATES["WAITING"], "dash": "dot", "width": 1}, hoverinfo="skip"
    )
    counts = _list(table, "rows")
    sizes = [6 + 22 * (count / max(counts)) ** 0.5 for count in counts]
    figure.add_scatter(
        x=_list(table, "confidence"),
        y=_list(table, "accuracy"),
        customdata=_list(table, "rows"),
        mode="lines+markers",
        line={"color": ACCENT, "width": 1.5},
        marker={"size": sizes},
        hovertemplate="%{customdata} rows<br>confidence %{x:.3f}<br>accuracy %{y:.3f}",
    )
    figure.update_xaxes(range=[0, 1.03])
    figure.update_yaxes(range=[0, 1.03])
    return figure


def confusion(table: pd.DataFrame, shares: pd.DataFrame) -> Figure:
    """Draw a confusion table: counts as text, the share of the label's rows as colour."""
    figure = _figure(x="answer", y="label", height=150 + 34 * len(table), legend=False)
    figure.add_heatmap(
        z=shares.to_numpy(dtype=float).tolist(),
        x=[_label(c) for c in table.columns],
        y=[_label(c) for c in table.index],
        text=table.to_numpy().tolist(),
        texttemplate="%{text}",
        colorscale=[[0, "rgba(59,130,214,0.03)"], [1, "rgba(59,130,214,0.7)"]],
        zmin=0,
        zmax=1,
        showscale=False,
        xgap=2,
        ygap=2,
        hovertemplate="label %{y}, answer %{x}<br>%{text} rows, %{z:.1%} of the label",
    )
    figure.update_xaxes(side="top", showgrid=False, ticks="", type="category", tickangle=-30 if len(table) > 4 else 0)
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    return figure


def scores(table: pd.DataFrame, title: str) -> Figure:
    """Draw the accuracy of each classifier with its 95 % interval."""
    colours: Mapping[str, str] = {"single": STATES["WAITING"], "candidate": ACCENT, "chosen": BEST}
    figure = _figure(x=title, y="", height=90 + 30 * len(table), legend=False)
    for row in records(table):
        known = row["known"]
        arms: dict[str, Any] = (
            {"array": [row["high"] - row["accuracy"]], "arrayminus": [row["accuracy"] - row["low"]]} if known else {}
        )
        figure.add_scatter(
            x=[row["accuracy"]],
            y=[_label(row["name"])],
            mode="markers",
            marker={"size": 10, "color": colours[row["kind"]]},
            error_x={"type": "data", "symmetric": False, "thickness": 1.5, "width": 4, "visible": known, **arms},
            hovertemplate="%{y}: %{x:.4f}",
        )
    figure.update_yaxes(autorange="reversed", type="category")
    return figure


def front(table: pd.DataFrame, column: str, title: str, metric: str) -> Figure:
    """Draw predictors by what they cost and what they are worth; a line joins those that nothing as cheap beats."""
    colours = {"single": STATES["WAITING"], "greedy": ACCENT, "chosen": BEST}
    figure = _figure(x=title, y=metric, height=300)
    line = rows(table, col(table, "best"))
    figure.add_scatter(
        x=_list(line, column),
        y=_list(line, "value"),
        mode="lines",
        name="Pareto front",
        line={"color": "rgba(138,148,158,0.6)", "width": 1.5, "shape": "hv"},
        hoverinfo="skip",
    )
    for kind, some in table.groupby("kind", sort=False):
        name = {"single": "single trial", "chosen": "in use"}.get(str(kind), str(kind))
        marker, names = {"size": 9, "color": colours[str(kind)]}, [_label(one) for one in some["name"]]
        _points(figure, some, column, name, marker, _told(title, metric, of=""), customdata=names)
    return figure


def objectives(table: pd.DataFrame, column: str, title: str, metric: str, *, line: bool) -> Figure:
    """Draw trials by two objectives; those on the front stand out, and a line joins them where there is no third."""
    figure = _figure(x=title, y=metric, height=320)
    for on, name, color in ((False, "other trials", STATES["WAITING"]), (True, "Pareto front", BEST)):
        some = rows(table, col(table, "best") == on).sort_values(column)
        marker = {"size": 9 if on else 7, "color": color, "opacity": 0.85}
        joined = {"mode": "lines+markers", "line": {"color": color, "width": 1.5, "shape": "hv"}} if on and line else {}
        _points(figure, some, column, name, marker, _told(title, metric), **joined)
    return figure


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


def _add_trials(figure: Figure, table: pd.DataFrame, column: str, told: str, *, choices: Sequence[object] = ()) -> None:
    """Add a marker for every ended trial: its value over a column, or over the name of its choice."""
    for state in ("PRUNED", "COMPLETE"):
        some = rows(table, col(table, "state") == state)
        symbol = "circle" if state == "COMPLETE" else "circle-open"
        marker = {"color": STATES[state], "size": 8, "opacity": 0.85, "symbol": symbol}
        named = {"x": [_label(chosen(v, choices)) for v in col(some, column)]} if choices else {}
        _points(figure, some, column, state, marker, told, **named)


def _points(
    figure: Figure, some: pd.DataFrame, column: str, name: str, marker: dict[str, Any], told: str, **more: Any
) -> None:
    """Add a marker for every row: its value over a column; ``told`` is what is said of one, ``more`` what differs."""
    plain = {
        "x": _list(some, column),
        "y": _list(some, "value"),
        "customdata": more.get("customdata") or _list(some, "number"),
        "mode": "markers",
    }
    figure.add_scatter(**{**plain, "name": name, "marker": marker, "hovertemplate": told, **more})


def _told(title: str, metric: str, of: str = "trial ") -> str:
    return f"{of}%{{customdata}}<br>{escape(title)} %{{x:.4g}}<br>{escape(metric)} %{{y:.4f}}"


def _figure(*, x: str, y: str, height: int = 340, legend: bool = True) -> Figure:
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


def _label(value: object) -> str:
    return escape(str(value))


def _list(table: pd.DataFrame, column: str) -> list[Any]:
    return [None if value != value else value for value in col(table, column).tolist()]  # NaN is no JSON
