"""A page's frame lets a browser fetch nothing, and run nothing but charts."""

import pytest

from ferhpo.report.document import document
from ferhpo.report.markup import tag
from tests.report.drawn import Page


def policy(page: Page) -> list[str]:
    """Return what a browser may do with a page."""
    found = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert found is not None
    return found.split("; ")


@pytest.mark.parametrize("charts", [True, False])
def test_a_page_forbids_browsers_to_fetch_anything(charts: bool) -> None:
    found = policy(Page(document("faces", "a page", "", [], [], charts=charts)))
    assert "default-src 'none'" in found
    assert ("script-src 'unsafe-inline'" in found) == charts
    assert "http" not in " ".join(found)


def test_plotly_is_in_a_page_of_charts_once() -> None:
    page = document("faces", "a page", "", [], [tag("p", "one"), tag("p", "two")])
    assert page.count("* plotly.js v") == 1
    assert "Charts by plotly.js" in page


def test_nothing_runs_in_a_page_without_charts() -> None:
    page = Page(document("faces", "a page", "", [], [], charts=False))
    assert not {"script", "noscript"} & set(page.names())
    assert "plotly" not in " ".join(page.words)


def test_name_subtitle_and_links_stand_above_the_parts_and_are_no_tags() -> None:
    part = tag("section", "the part", id="one")
    text = document("<b>faces</b>", "a page", "<i>", [("one", "<u>One")], [part], style=".x { top: 0 }", charts=False)
    page = Page(text)
    assert not {"b", "i", "u"} & set(page.names())
    assert [a["href"] for name, a in page.elements if name == "a"] == ["#one"]
    assert [word for word in page.words if word.strip()][:5] == [
        "<b>faces</b> - a page",
        "<b>faces</b>",
        "<i>",
        "<u>One",
        "the part",
    ]
    assert page.raw[0][1].endswith(".x { top: 0 }")
