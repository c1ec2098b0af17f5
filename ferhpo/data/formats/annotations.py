"""What the readers of annotation files share: their lines, and codes that become names."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ferhpo.errors import DataError


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number (from 1) and the text of each line that is not empty.

    Raises:
        DataError: the file cannot be read as text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        msg = f"{path}: a file of annotations must be readable text ({why}); copy or unpack it again"
        raise DataError(msg) from None
    for number, content in enumerate(text.splitlines(), 1):
        if content.strip():
            yield number, content


def line(text: str, count: int, path: Path, number: int, between: str | None = None) -> list[str]:
    """Return the ``count`` fields of a line.

    Raises:
        DataError: there are more or fewer.
    """
    found = text.split(between)
    if len(found) != count:
        msg = f"{path}:{number}: a line must have {count} fields, got {len(found)}; correct or delete it"
        raise DataError(msg)
    return found


def label_of(code: str, names: Mapping[str, str], path: Path, number: int) -> str:
    """Return the class name of a code.

    Raises:
        DataError: it is no code of the data set.
    """
    name = names.get(code.strip())
    if name is None:
        msg = f"{path}:{number}: a label must be one of {', '.join(names)}, got '{code.strip()[:40]}'; correct the line"
        raise DataError(msg)
    return name
