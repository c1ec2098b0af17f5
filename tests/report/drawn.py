"""What a browser is given of a chart."""

import json
from typing import Any

from ferhpo.report.drawing import Figure


def traces(figure: Figure) -> list[dict[str, Any]]:
    """Return a chart's traces as they stand in the page."""
    return json.loads(str(figure.to_json()))["data"]
