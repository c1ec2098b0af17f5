"""What a browser is given of a chart and of a page."""

import json
from html.parser import HTMLParser
from typing import Any

from ferhpo.report.drawing import Figure


def traces(figure: Figure) -> list[dict[str, Any]]:
    """Return a chart's traces as they stand in the page."""
    return json.loads(str(figure.to_json()))["data"]


class Page(HTMLParser):
    """Collects elements with their attributes, and the contents of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem:
            self.raw.append((self.cdata_elem, data))
        else:
            self.words.append(data)

    def names(self) -> list[str]:
        return [name for name, _ in self.elements]
