"""The frame of every page: one file that opens offline, loads nothing, and runs nothing but its charts."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from ferhpo import __version__
from ferhpo.report.markup import Html, tag

# Nothing but what stands in the page itself may run or be shown, so no label can make a browser fetch anything.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
CHARTS = "; script-src 'unsafe-inline'"  # what drawing them needs besides


def document(
    name: str,
    kind: str,
    subtitle: str,
    links: Iterable[tuple[str, str]],
    parts: Iterable[object],
    *,
    style: str = "",
    charts: bool = True,
) -> str:
    """Return a whole page that opens offline.

    Args:
        name: what it is about.
        kind: what kind of page it is, for the browser's title.
        subtitle: a line under the name.
        links: anchor and title of the sections.
        parts: what stands in it; charts as `parts.chart` makes them.
        style: CSS beside that of every page.
        charts: whether there may be some; without, nothing runs in it.
    """
    written = f"Written by ferhpo {__version__} on {datetime.now().astimezone():%Y-%m-%d %H:%M %Z}."
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY + CHARTS if charts else POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content=f"ferhpo {__version__}"),
        tag("title", f"{name} - {kind}"),
        tag("style", Html(_own("page.css") + style)),
    )
    lacking = tag("p", "The charts need JavaScript; every number is in the tables as well.", class_="note")
    body = tag(
        "body",
        tag("header", tag("h1", name), tag("p", subtitle, class_="soft")),
        tag("nav", *(tag("a", title, href=f"#{anchor}") for anchor, title in links), aria_label="Sections"),
        tag("noscript", lacking) if charts else None,
        *parts,
        tag("footer", f"{written} Charts by plotly.js, inside this file." if charts else written),
        *(tag("script", Html(script)) for script in (_scripts() if charts else ())),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _scripts() -> Sequence[str]:
    from plotly.offline import get_plotlyjs  # a page without charts does not wait for it

    return get_plotlyjs(), _own("page.js")


def _own(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
