"""HTML that is escaped unless it was made here: a study's name or a parameter can never become a tag."""

from collections.abc import Iterable, Mapping
from html import escape
from math import isfinite
from typing import Any

VOID = {"meta", "link", "br", "input", "img"}


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(_name: str, *children: object, **attributes: object) -> Html:
    """Return one element; children that are not `Html` are escaped, and so are all attributes.

    ``class_`` stands for class, ``data_sort`` for data-sort; an attribute that is None or False is left out.

    >>> tag("td", "a < b", class_="n")
    '<td class="n">a &lt; b</td>'
    """
    pairs = (
        f' {k.strip("_").replace("_", "-")}="{escape(str(v))}"'
        for k, v in attributes.items()
        if v is not None and v is not False
    )
    opened = f"<{_name}{''.join(pairs)}>"
    return Html(opened if _name in VOID else f"{opened}{join(children)}</{_name}>")


def join(children: Iterable[object]) -> Html:
    """Return the children one after another, each escaped unless it is `Html`; None is left out."""
    return Html(
        "".join(child if isinstance(child, Html) else escape(str(child)) for child in children if child is not None)
    )


def prose(sentence: str) -> Html:
    """Return a sentence with what stands in backticks as code.

    >>> prose("run `ferhpo search` & wait")
    'run <code>ferhpo search</code> &amp; wait'
    """
    return join(tag("code", part) if i % 2 else part for i, part in enumerate(sentence.split("`")))


def count(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count(1, "trial"), count(3, "trial")
    ('1 trial', '3 trials')
    """
    return f"{text(number)} {noun}{'' if number == 1 else 's'}"


def table(head: Mapping[str, str], rows: Iterable[Mapping[str, object]], *, marked: Iterable[int] = ()) -> Html:
    """Return a table that scrolls sideways on a narrow screen and sorts at a click on its head.

    Args:
        head: column -> what stands above it.
        rows: column -> a text, a number, `Html`, or a pair of what is shown and the number it sorts by.
        marked: places (from 0) of the rows that stand out.
    """
    marks, rows = set(marked), list(rows)
    numeric = {c for c in head if any(_is_number(row.get(c)) for row in rows)}
    top = tag("tr", *(tag("th", title, scope="col", class_="n" if c in numeric else None) for c, title in head.items()))
    body = (
        tag("tr", *(_cell(row.get(c), numeric=c in numeric) for c in head), class_="best" if i in marks else None)
        for i, row in enumerate(rows)
    )
    whole = tag("table", tag("thead", top), tag("tbody", *body))
    return tag("div", whole, class_="scroll", tabindex="0")


def _cell(value: object, *, numeric: bool) -> Html:
    shown, key = value if isinstance(value, tuple) else (value, value)
    sort = key if isinstance(key, (int, float)) and _is_number(value) and isfinite(key) else None
    return tag("td", shown if isinstance(shown, Html) else text(shown), class_="n" if numeric else None, data_sort=sort)


def _is_number(value: object) -> bool:
    key = value[1] if isinstance(value, tuple) else value
    return isinstance(key, (int, float)) and not isinstance(key, bool)


def text(value: Any) -> str:
    """Return a value as people read it: numbers to four significant digits, nothing as a dash."""
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}") if abs(value) >= 10_000 else str(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """Return seconds as the two largest units.

    >>> duration(3725), duration(95), duration(4.2)
    ('1 h 2 min', '1 min 35 s', '4.2 s')
    >>> duration(59.7), duration(9.97)
    ('1 min 0 s', '10 s')
    """
    if not isfinite(seconds):
        return text(None)
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {name}"
    raise AssertionError
