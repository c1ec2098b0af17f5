"""Charts of trials: the tables in `frames` and `learned` drawn, and nothing computed."""

from collections.abc import Sequence
from html import escape

import pandas as pd

from ferhpo.metrics import quantity
from ferhpo.report.drawing import ACCENT, BEST, STATES, Figure, blank, hover, label, listed, points
from ferhpo.report.pick import chosen, col, records, rows
from ferhpo.space.dimension import Dimension

FAINT = {"COMPLETE": "rgba(59,130,214,0.35)", "PRUNED": "rgba(154,143,181,0.45)"}


def history(table: pd.DataFrame, metric: str) -> Figure:
    """Draw the value of each ended trial in the order they ended, and the best so far."""
    figure = blank(x="trials ended", y=metric)
    _add_trials(figure, table, "order", f"trial %{{customdata}}<br>{escape(metric)} %{{y:.4f}}")
    line = {"color": BEST, "width": 2, "shape": "hv"}
    figure.add_scatter(
        x=listed(table, "order"), y=listed(table, "best"), mode="lines", name="best so far", line=line, hoverinfo="skip"
    )
    return figure


def standing(table: pd.DataFrame, metric: str) -> Figure:
    """Draw the running ensemble and the best single trial over the trials that had ended."""
    figure = blank(x="trials ended", y=metric)
    for column, name, color in (("ensemble", "greedy ensemble", BEST), ("single", "best single trial", ACCENT)):
        line = {"color": color, "width": 2, "shape": "hv"}
        found = f"{name} %{{y:.4f}}"
        figure.add_scatter(
            x=listed(table, "trials"), y=listed(table, column), mode="lines", name=name, line=line, hovertemplate=found
        )
    return figure


def curves(table: pd.DataFrame, column: str, title: str, best: int | None, *, legend: bool = True) -> Figure:
    """Draw one line per trial over its epochs; the best trial stands out."""
    figure = blank(x="epoch", y=title, legend=legend)
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
            x=listed(some, "epoch"),
            y=listed(some, column),
            mode="lines+markers",
            name=f"best trial ({best})",
            line={"color": BEST, "width": 2.5},
            marker={"size": 6},
            hovertemplate=f"trial {best}, epoch %{{x}}<br>%{{y:.4f}}",
        )
    return figure


def importances(table: pd.DataFrame) -> Figure:
    """Draw one bar per parameter, the most important on top."""
    figure = blank(x="share of the importance", y="", height=90 + 28 * len(table), legend=False)
    names, shares = [label(p) for p in table["parameter"]], listed(table, "importance")
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
    figure = blank(x=parameter, y=metric, height=240, legend=False)
    table = rows(table, col(table, column).notna())
    offered = () if dimension is None else dimension.choices
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in col(table, column))
    choices = offered or (() if numeric else tuple(dict.fromkeys(col(table, column))))
    if not choices:
        figure.update_xaxes(type="log" if dimension is not None and dimension.log else "linear")
    else:
        order = {"categoryorder": "array", "categoryarray": [label(c) for c in choices]}
        figure.update_xaxes(type="category", range=[-0.5, len(choices) - 0.5], **order)
    told = f"trial %{{customdata}}<br>{escape(parameter)} %{{x}}<br>{escape(metric)} %{{y:.4f}}"
    _add_trials(figure, table, column, told, choices=choices)
    return figure


def budget(table: pd.DataFrame) -> Figure:
    """Draw which state took what share of trials, epochs and time."""
    figure = blank(x="", y="", height=210)
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
    figure = blank(x=title, y=metric, height=300)
    some = rows(table, col(table, column) > 0)
    for arch, group in some.groupby(col(some, "arch").fillna("unknown"), sort=True):
        points(figure, group, column, label(arch), {"size": 8, "opacity": 0.85}, hover(title, metric))
    figure.update_xaxes(type="log")
    return figure


def objectives(table: pd.DataFrame, column: str, title: str, metric: str, *, line: bool) -> Figure:
    """Draw trials by two objectives; those on the front stand out, and a line joins them where there is no third."""
    figure = blank(x=title, y=metric, height=320)
    for on, name, color in ((False, "other trials", STATES["WAITING"]), (True, "Pareto front", BEST)):
        some = rows(table, col(table, "best") == on).sort_values(column)
        marker = {"size": 9 if on else 7, "color": color, "opacity": 0.85}
        steps = "vh" if quantity(title).maximize else "hv"  # what the front is known to reach
        drawn = {"color": color, "width": 1.5, "shape": steps}
        joined = {"mode": "lines+markers", "line": drawn} if on and line else {}
        points(figure, some, column, name, marker, hover(title, metric), **joined)
    return figure


def _add_trials(figure: Figure, table: pd.DataFrame, column: str, told: str, *, choices: Sequence[object] = ()) -> None:
    """Add a marker for every ended trial: its value over a column, or over the name of its choice."""
    for state in ("PRUNED", "COMPLETE"):
        some = rows(table, col(table, "state") == state)
        symbol = "circle" if state == "COMPLETE" else "circle-open"
        marker = {"color": STATES[state], "size": 8, "opacity": 0.85, "symbol": symbol}
        named = {"x": [label(chosen(v, choices)) for v in col(some, column)]} if choices else {}
        points(figure, some, column, state, marker, told, **named)
