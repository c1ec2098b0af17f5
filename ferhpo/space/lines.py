"""In which line of a TOML file a key is set, which `tomllib` does not tell."""

import re


def line_of(text: str, *keys: str) -> int | None:
    r"""Return the line (from 1) of a study file that sets ``key`` or ``section, key``, None if it is not found.

    >>> line_of("seed = 1\n[space]\nlr = 0.1\n", "space", "lr")
    3
    """
    *section, key = keys
    inside = [""]
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line)
        if header:
            inside = header[1].split(".")
            if inside == [*section, key]:
                return number
        elif (inside == section or (not section and inside == [""])) and re.match(
            rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line
        ):
            return number
    return line_of(text, *section) if section else None


def line_in_try(text: str, index: int, key: str = "") -> int | None:
    """Return the line (from 1) of a key in the nth `[[try]]`, the table's own where the key is not found."""
    seen, begin, inside = 0, None, False
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*\[", line):
            tries = re.match(r"\s*\[\[?\s*try\s*\]", line) is not None
            inside = tries and seen == index
            begin = number if inside else begin
            seen += tries
        elif key and inside and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return begin
