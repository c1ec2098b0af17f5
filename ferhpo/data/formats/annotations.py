"""What the readers of annotation files share: their lines, rows of a csv, and codes that become names."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
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


def rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which it begins (from 1) and the fields of each row of a csv that is not empty, its header too.

    Lines may end as on any system.

    Raises:
        DataError: the file cannot be read, or a row is no csv or no UTF-8.
    """
    number = 1
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file)
            for row in reader:
                "".join(row).encode()  # refuses what was no UTF-8: strict decoding would, without knowing the line
                if row:
                    yield number, row
                number = reader.line_num + 1
    except OSError as error:
        msg = f"{path}: a csv must be readable ({error.strerror}); check the path"
        raise DataError(msg) from None
    except csv.Error as error:  # most often a quote that nobody closed, so the line on which the row begins is named
        msg = f"{path}:{number}: a row must be valid csv, got '{error}'; correct its quotes or delete it"
        raise DataError(msg) from None
    except UnicodeEncodeError as error:
        got = f"0x{ord(error.object[error.start]) - 0xDC00:02X}"  # as surrogateescape writes a byte
        msg = f"{path}:{number}: a csv must be UTF-8, got the byte {got}; save it as UTF-8"
        raise DataError(msg) from None


def check_commas(path: Path, names: Sequence[str]) -> None:
    """Refuse a header of one column that holds what some programs write in place of commas.

    Raises:
        DataError: with the header.
    """
    if len(names) == 1 and any(mark in names[0] for mark in ";\t"):
        msg = f"{path}:1: the columns of a csv must be separated by commas, got {names[0][:200]}; save it with commas"
        raise DataError(msg)


def records(path: Path, needed: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line and fields of each row of a csv below its header, by column; fields that a row lacks are empty.

    Args:
        path: the csv.
        needed: columns that the header must have.

    Raises:
        DataError: as `rows`, and for a column that is not there.
    """
    content = rows(path)
    number, names = next(content, (1, []))
    lacking = [name for name in needed if name not in names]
    if lacking:
        rule = f"{path}:{number}: the header must name {', '.join(needed)}"
        msg = f"{rule}, got none for '{lacking[0]}'; add it or download the file again"
        raise DataError(msg)
    for number, row in content:
        yield number, dict(zip(names, chain(row, repeat("")), strict=False))


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
