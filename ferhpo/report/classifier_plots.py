"""Charts of classifiers: how sure and how right they are, and what they cost; nothing is computed."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ferhpo.report.drawing import ACCENT, BEST, STATES, Figure, blank, hover, label, listed, points
from ferhpo.report.pick import col, records, rows


def reliability(table: pd.DataFrame) -> Figure:
    """Draw how often answers are right by how sure they are; on the diagonal a probability means what it says."""
    figure = blank(x="confidence", y="accuracy", height=340, legend=False)
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": STATES["WAITING"], "dash": "dot", "width": 1}, hoverinfo="skip"
    )
    counts = listed(table, "rows")
    sizes = [6 + 22 * (count / max(counts)) ** 0.5 for count in counts]
    figure.add_scatter(
        x=listed(table, "confidence"),
        y=listed(table, "accuracy"),
        customdata=listed(table, "rows"),
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
    figure = blank(x="answer", y="label", height=150 + 34 * len(table), legend=False)
    figure.add_heatmap(
        z=shares.to_numpy(dtype=float).tolist(),
        x=[label(c) for c in table.columns],
        y=[label(c) for c in table.index],
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
    figure = blank(x=title, y="", height=90 + 30 * len(table), legend=False)
    for row in records(table):
        known = row["known"]
        arms: dict[str, Any] = (
            {"array": [row["high"] - row["accuracy"]], "arrayminus": [row["accuracy"] - row["low"]]} if known else {}
        )
        figure.add_scatter(
            x=[row["accuracy"]],
            y=[label(row["name"])],
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
    figure = blank(x=title, y=metric, height=300)
    line = rows(table, col(table, "best"))
    figure.add_scatter(
        x=listed(line, column),
        y=listed(line, "value"),
        mode="lines",
        name="Pareto front",
        line={"color": "rgba(138,148,158,0.6)", "width": 1.5, "shape": "hv"},
        hoverinfo="skip",
    )
    for kind, some in table.groupby("kind", sort=False):
        name = {"single": "single trial", "chosen": "in use"}.get(str(kind), str(kind))
        marker, names = {"size": 9, "color": colours[str(kind)]}, [label(one) for one in some["name"]]
        points(figure, some, column, name, marker, hover(title, metric, of=""), customdata=names)
    return figure
