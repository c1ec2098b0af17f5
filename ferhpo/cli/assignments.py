"""The syntax of `--set`."""

import json
from typing import Any

from ferhpo.errors import UsageError
from ferhpo.space.config import OPERATIONS, SETTINGS, check_names


def parse_assignment(text: str) -> tuple[str, Any]:
    """Read ``name=value`` of ``--set``, the value in the type of its setting.

    Raises:
        UsageError: there is no ``=``, the name is unknown, or the value does not fit.

    >>> parse_assignment("lr=0.05"), parse_assignment("flip=off")
    (('lr', 0.05), ('flip', 0.0))
    """
    name, equals, raw = text.partition("=")
    if not equals:
        msg = f"--set takes name=value, got '{text}'"
        raise UsageError(msg)
    check_names({name: raw})
    setting = SETTINGS[name]
    if setting.kind is str:
        return name, setting.check(raw)
    if setting.optional and raw.lower() == "off":
        return name, 0.0 if name in OPERATIONS else None  # where None is "as the dial says"
    try:
        value = json.loads(raw.lower())
    except ValueError:  # no JSON, or a number of more digits than Python reads
        value = raw
    return name, setting.check(value)
