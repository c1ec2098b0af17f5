"""fer2013.csv and icml_face_data.csv: one row a face, 2,304 grey values in one column.

The fast way takes the columns from Arrow and turns digits into numbers with array arithmetic. Whatever it does not
accept, the exact way reads again row by row: that gives the rows, or the line and the rule it breaks.
"""

import csv
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ferhpo.data.raw import EXPRESSIONS, RawData, resized
from ferhpo.errors import DataError
from ferhpo.space.spec import DataSpec

SIDE = 48
PIXELS = SIDE * SIDE
COLUMNS = ("emotion", "pixels", "Usage")
USAGES = ("Training", "PublicTest", "PrivateTest")
HEADER_BYTES = 4096  # the first line of a csv of this kind ends long before
BLOCK_BYTES = 1 << 20  # what Arrow reads, and one call of `_digits` turns into numbers: it fits the processor's cache
_DIGITS = dict.fromkeys(map(ord, "0123456789 "))  # str.translate deletes them


def read(path: Path, spec: DataSpec) -> RawData:
    """Read the csv; classes are the expressions that occur, in the order of their codes.

    Raises:
        DataError: it is no such csv, or a row breaks a rule; the message has file and line.
    """
    header = _header(path)
    try:
        codes, images, usages = _fast(path, header)
    except (pa.ArrowException, _UnusualError):
        codes, images, usages = _exact(path, header)
    seen = np.unique(codes)
    return RawData(
        images=resized(images, spec.size, spec.channels),
        labels=np.searchsorted(seen, codes).astype(np.int64),
        classes=tuple(EXPRESSIONS[code] for code in seen),
        part=usages,
    )


class _UnusualError(Exception):
    """The fast way met something that the exact way has to look at."""


def _header(path: Path) -> list[str]:
    """Return the column names of line 1, without the spaces of icml_face_data.csv."""
    try:
        with path.open("rb") as file:
            start = file.read(HEADER_BYTES)
    except OSError as error:
        msg = f"{path}: a csv must be readable ({error.strerror}); check the path"
        raise DataError(msg) from None
    if not start:
        msg = f"{path}: a csv must have a header and rows, got an empty file; copy or download it again"
        raise DataError(msg)
    line = start.split(b"\n", 1)[0]
    try:
        names = [name.strip() for name in next(csv.reader([line.decode("utf-8-sig")]), [])]
    except (UnicodeDecodeError, csv.Error):
        names = None
    if names is None or b"\0" in start or len(line) == HEADER_BYTES:
        rule = f"{path}:1: the file must be a csv with the columns {', '.join(COLUMNS)}"
        msg = f"{rule}, got something else; unpack it or check the path"
        raise DataError(msg)
    missing = [name for name in COLUMNS if names.count(name) != 1]
    if missing:
        got = ", ".join(names) or "an empty line"
        rule = f"{path}:1: the header must name {', '.join(COLUMNS)} once each"
        msg = f"{rule}, got {got[:200]}; name the column '{missing[0]}'"
        raise DataError(msg)
    return names


def _fast(path: Path, header: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return codes (int64, rows), images (uint8, rows x 48 x 48) and usages (unicode, rows)."""
    table = pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(column_names=header, skip_rows=1, block_size=BLOCK_BYTES),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=COLUMNS,
            column_types={"emotion": pa.int8(), "pixels": pa.binary(), "Usage": pa.dictionary(pa.int32(), pa.string())},
        ),
    )
    if not table.num_rows or table["emotion"].null_count:
        raise _UnusualError
    codes = table["emotion"].to_numpy().astype(np.int64)
    usage = table["Usage"].unify_dictionaries()
    names = usage.chunk(0).dictionary.to_pylist()
    if not set(names) <= set(USAGES) or codes.min() < 0 or codes.max() >= len(EXPRESSIONS):
        raise _UnusualError
    index = np.concatenate([chunk.indices.to_numpy() for chunk in usage.chunks])
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        images = np.concatenate(list(pool.map(_digits, table["pixels"].chunks)))
    return codes, images.reshape(-1, SIDE, SIDE), np.array(names)[index]


def _digits(chunk: pa.BinaryArray) -> np.ndarray:
    """Turn rows of 2,304 numbers in digits, one space between, into uint8, rows x 2304.

    A number's value is d1 + 10 d2 + 100 d3 over its last digit and the two bytes before it, where a space counts 0.
    """
    rows = len(chunk)
    _, offsets, data = chunk.buffers()
    if not rows or offsets is None or data is None:
        raise _UnusualError
    at = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + rows + 1].astype(np.int64)
    text = np.frombuffer(data, np.uint8)[at[0] : at[-1]]
    at -= at[0]
    is_digit = text != ord(" ")
    spaces = np.flatnonzero(~is_digit)
    if len(spaces) != rows * (PIXELS - 1):
        raise _UnusualError
    ends = np.empty((rows, PIXELS), np.int64)  # one past each number
    ends[:, :-1] = spaces.reshape(rows, PIXELS - 1)
    ends[:, -1] = at[1:]
    lengths = np.diff(ends, axis=1, prepend=at[:-1, None] - 1) - 1
    if lengths.min() < 1 or lengths.max() > 3:  # also where a row has a pixel less and another one more
        raise _UnusualError
    digit = np.zeros(len(text) + 2, np.uint8)
    np.subtract(text, ord("0"), out=digit[2:])
    digit[2:] *= is_digit
    if digit.max() > 9:
        raise _UnusualError
    sums = digit[1:-1] * np.uint16(10)
    sums += digit[2:]
    hundreds = digit[:-2] * np.uint16(100)
    hundreds[1:] *= is_digit[:-1]
    sums += hundreds
    values = sums[ends - 1]
    first = ends[:, 0] + 1  # of a row's first number the bytes before may belong to the row above
    values[:, 0] = digit[first]
    values[:, 0] += digit[first - 1] * np.uint16(10) * (lengths[:, 0] > 1)
    values[:, 0] += digit[first - 2] * np.uint16(100) * (lengths[:, 0] > 2)
    if values.max() > 255:
        raise _UnusualError
    return values.astype(np.uint8)


def _exact(path: Path, header: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Do as `_fast`, slowly, and name the line that breaks a rule."""
    codes, images, usages = [], [], []
    emotion, pixels, usage = (header.index(name) for name in COLUMNS)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file)
        try:
            next(reader)
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    msg = f"a row must have {len(header)} columns, got {len(row)}"
                    raise _RowError(msg)
                codes.append(_code(row[emotion].strip()))
                images.append(_pixels(row[pixels]))
                usages.append(_usage(row[usage].strip()))
        except (csv.Error, _RowError) as error:
            cut = "the file seems cut off there: copy or download it again"
            remedy = cut if _is_cut(path, reader.line_num) else "correct or delete the row"
            msg = f"{path}:{reader.line_num}: {error}; {remedy}"
            raise DataError(msg) from None
    if not codes:
        msg = f"{path}:1: a csv must have rows below its header, got none; copy or download it again"
        raise DataError(msg)
    return np.array(codes, np.int64), np.stack(images).reshape(-1, SIDE, SIDE), np.array(usages)


class _RowError(Exception):
    """A rule that a row breaks, and what was got."""


def _code(text: str) -> int:
    if text not in set(map(str, range(len(EXPRESSIONS)))):
        msg = f"emotion must be a code from 0 to {len(EXPRESSIONS) - 1}, got '{text[:40]}'"
        raise _RowError(msg)
    return int(text)


def _usage(text: str) -> str:
    if text not in USAGES:
        msg = f"Usage must be one of {', '.join(USAGES)}, got '{text[:40]}'"
        raise _RowError(msg)
    return text


def _pixels(text: str) -> np.ndarray:
    numbers = text.split()
    if len(numbers) == PIXELS and not text.translate(_DIGITS):
        values = np.fromiter(map(int, numbers), np.float64, PIXELS)
        if values.max() <= 255:
            return values.astype(np.uint8)
    for place, number in enumerate(numbers, 1):
        if not (number.isascii() and number.isdigit() and int(number[:9]) <= 255):
            msg = f"a pixel must be a whole number from 0 to 255, got '{number[:40]}' as pixel {place}"
            raise _RowError(msg)
    msg = f"a row must have {PIXELS} pixels ({SIDE}x{SIDE}), got {len(numbers)}"
    raise _RowError(msg)


def _is_cut(path: Path, line: int) -> bool:
    """Tell whether the file ends in ``line`` without a line break."""
    content = path.read_bytes()
    return not content.endswith(b"\n") and content.count(b"\n") == line - 1
