"""Pieces that several sections are made of: a row's cells, a list of facts, a chart."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ferhpo.report.drawing import Figure, near
from ferhpo.report.ensemble_frames import FIGURES
from ferhpo.report.frames import AIM
from ferhpo.report.markup import Html, duration, join, tag, text

BARELY = "no clearly better than always answering the commonest class"
SCORES = frozenset({"value", "best", "weight", "precision", "recall", "f1", "robust_accuracy", *FIGURES})


def cells(row: Mapping[Any, Any]) -> dict[str, object]:
    """Turn a table's row into cells: what is shown, and the number it sorts by."""
    known = {str(key): None if raw is pd.NA or raw is pd.NaT or raw != raw else raw for key, raw in row.items()}
    shown: dict[str, object] = {}
    for key, value in known.items():
        if key == "state":
            shown[key] = _state(str(value), barely=bool(known.get("barely")))
        elif key == "value" and value is None and known.get("latest") is not None:
            shown[key] = (f"{known['latest']:.4f} so far", known["latest"])
        elif value is None:
            shown[key] = None
        elif key == "seconds":
            shown[key] = (duration(value), value)
        elif key in SCORES:
            shown[key] = (f"{value:.4f}", value)
        elif key in {"parameters", "images_per_second"}:
            shown[key] = (whole(value), value)
        elif key.startswith(AIM):
            shown[key] = (f"{value:.4g}" if abs(value) < 1000 else whole(value), value)
        else:
            shown[key] = value
    return shown


def chart(figure: Figure, caption: str = "") -> Html:
    """Return a place for a chart, with the chart as JSON for `page.js` to draw."""
    content = Html(str(near(figure).to_json()).replace("<", "\\u003c"))  # so that no label can end the script element
    inner = tag("script", content, type="application/json")
    drawn = tag("div", inner, class_="chart", style=f"height:{figure.layout.height}px")
    return tag("figure", drawn, tag("figcaption", caption) if caption else None)


def facts_list(pairs: Sequence[tuple[str, object]]) -> Html:
    """Return names and values one under another."""
    return tag("dl", *(join([tag("dt", name), tag("dd", text(value))]) for name, value in pairs))


def whole(value: float) -> str:
    """Return a number without its decimals, nothing as a dash."""
    return text(round(value)) if value == value else text(None)  # NaN is not equal to itself


def _state(state: str, *, barely: bool) -> Html:
    mark = (
        tag("span", " \N{LESS-THAN OR EQUIVALENT TO} commonest class", class_="soft", title=BARELY) if barely else None
    )
    return join([tag("span", state, class_=f"state {state}"), mark])
