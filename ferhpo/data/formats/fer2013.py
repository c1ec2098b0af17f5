"""fer2013.csv and icml_face_data.csv: one row a face, 2,304 grey values in one column.

The file is read in pieces of whole lines. The fast way takes the columns from Arrow and turns digits into numbers with
array arithmetic. A piece that it does not accept is read again row by row: that gives the rows, or the line and the
rule it breaks.
"""

import csv
import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ferhpo.data.formats.annotations import check_commas
from ferhpo.data.pixels import new_images
from ferhpo.data.raw import EXPRESSIONS, RawData, resized
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec

SIDE = 48
PIXELS = SIDE * SIDE
COLUMNS = ("emotion", "pixels", "Usage")
USAGES = ("Training", "PublicTest", "PrivateTest")
ROW_BYTES = 2 * PIXELS - 1  # at least, of a row's pixels
HEADER_BYTES = 4096  # the first line of a csv of this kind ends long before
PIECE_BYTES = 1 << 20  # of lines that are read at a time: they fit the processor's cache
_DIGITS = dict.fromkeys(map(ord, "0123456789 "))  # str.translate deletes them


def read(path: Path, spec: DataSpec) -> RawData:
    """Read the csv; classes are the expressions that occur, in the order of their codes.

    Raises:
        DataError: it is no such csv, or a row breaks a rule; the message has file and line.
    """
    header = _header(path)
    images = new_images(path.stat().st_size // ROW_BYTES, spec.size, spec.channels)  # more rows it cannot have
    codes, usages, start = [], [], 0
    for piece in _in_order(partial(_piece, path, header, spec), _pieces(path)):
        codes.append(piece.codes)
        usages.append(piece.usages)
        images[start : start + len(piece.codes)] = piece.images
        start += len(piece.codes)
    if not start:
        msg = f"{path}:1: a csv must have rows below its header, got none; copy or download it again"
        raise DataError(msg)
    codes = np.concatenate(codes)
    seen = np.unique(codes)
    return RawData(
        images=images[:start],
        labels=np.searchsorted(seen, codes).astype(np.int64),
        classes=tuple(EXPRESSIONS[code] for code in seen),
        part=np.concatenate(usages),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Some rows: codes (int64), images (uint8, rows x size x size x channels), usages (unicode)."""

    codes: np.ndarray
    images: np.ndarray
    usages: np.ndarray


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
    check_commas(path, names)
    missing = [name for name in COLUMNS if names.count(name) != 1]
    if missing:
        got = ", ".join(names) or "an empty line"
        rule = f"{path}:1: the header must name {', '.join(COLUMNS)} once each"
        name, twice = missing[0], names.count(missing[0]) > 1
        then = f"leave one '{name}' out" if twice else f"name the column '{name}', in a csv of paths image and label"
        msg = f"{rule}, got {got[:200]}; {then}"
        raise DataError(msg)
    return names


def _pieces(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield the lines below the header in pieces, each with the number of lines before it.

    From a piece with an open quote on, which may go over many lines, the rest of the file is one piece.
    """
    with path.open("rb") as file:
        file.readline()
        line = 1
        while piece := file.read(PIECE_BYTES) + file.readline():
            if piece.count(b'"') % 2:
                piece += file.read()
            yield piece, line
            line += piece.count(b"\n")


def _in_order(work: Callable[[bytes, int], _Rows], pieces: Iterable[tuple[bytes, int]]) -> Iterator[_Rows]:
    """Yield the result of each piece in the order of the pieces; a few are worked on at a time, no more are held."""
    threads = min(os.cpu_count() or 1, 8)
    waiting: deque[Future[_Rows]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for piece in pieces:
            waiting.append(pool.submit(work, *piece))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _piece(path: Path, header: list[str], spec: DataSpec, piece: bytes, before: int) -> _Rows:
    """Read a piece the fast way, else the exact one; ``before`` is the number of lines before it."""
    try:
        codes, faces, usages = _fast(piece, header)
    except (pa.ArrowException, _UnusualError):
        codes, faces, usages = _exact(path, piece, before, header)
    return _Rows(codes=codes, images=resized(faces, spec.size, spec.channels), usages=usages)


def _fast(piece: bytes, header: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return codes (int64, rows), images (uint8, rows x 48 x 48) and usages (unicode, rows)."""
    table = pyarrow.csv.read_csv(
        pa.BufferReader(piece),
        read_options=pyarrow.csv.ReadOptions(column_names=header, block_size=len(piece) + 1, use_threads=False),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=COLUMNS,
            column_types={"emotion": pa.int8(), "pixels": pa.binary(), "Usage": pa.dictionary(pa.int32(), pa.string())},
        ),
    )
    if table["emotion"].num_chunks != 1 or table["emotion"].null_count:
        raise _UnusualError
    codes, usage = table["emotion"].to_numpy().astype(np.int64), table["Usage"].chunk(0)
    names = usage.dictionary.to_pylist()
    if not len(codes) or codes.min() < 0 or codes.max() >= len(EXPRESSIONS) or not set(names) <= set(USAGES):
        raise _UnusualError
    faces = _digits(table["pixels"].chunk(0)).reshape(-1, SIDE, SIDE)
    return codes, faces, np.array(names)[usage.indices.to_numpy()]


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
    is_space = text == ord(" ")
    spaces = np.flatnonzero(is_space)
    if len(spaces) != rows * (PIXELS - 1):
        raise _UnusualError
    ends = np.empty((rows, PIXELS + 1), np.int64)  # one past each number, and before the first of a row
    ends[:, 0] = at[:-1] - 1
    ends[:, 1:-1] = spaces.reshape(rows, PIXELS - 1)
    ends[:, -1] = at[1:]
    lengths = np.diff(ends, axis=1) - 1
    if lengths.min() < 1 or lengths.max() > 3:  # also where a row has a pixel less and another one more
        raise _UnusualError
    ends = ends[:, 1:]
    digit = np.zeros(len(text) + 2, np.uint8)  # of the byte two places before
    np.subtract(text, ord("0"), out=digit[2:])
    digit[2:] *= ~is_space
    if digit.max() > 9:
        raise _UnusualError
    tens = digit[:-1] * np.uint8(10)
    tens += digit[1:]
    low = tens.take(ends)
    first = lengths[:, 0] == 1  # of a row: the byte before it belongs to the row above
    low[first, 0] = digit[ends[first, 0] + 1]
    values = (digit.take(ends - 1) * (lengths == 3)) * np.uint16(100)
    values += low
    if values.max() > 255:
        raise _UnusualError
    return values.astype(np.uint8)


def _exact(path: Path, piece: bytes, before: int, header: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Do as `_fast` row by row, and name the line that breaks a rule."""
    codes, faces, usages = [], [np.empty((0, PIXELS), np.uint8)], []
    emotion, pixels, usage = (header.index(name) for name in COLUMNS)
    reader = csv.reader(io.StringIO(piece.decode("utf-8", errors="replace"), newline=""))
    try:
        for row in filter(None, reader):
            if len(row) != len(header):
                msg = f"a row must have {len(header)} columns, got {len(row)}"
                raise _RowError(msg)
            codes.append(_code(row[emotion].strip()))
            faces.append(_pixels(row[pixels])[None])
            usages.append(_usage(row[usage].strip()))
    except (csv.Error, _RowError) as error:
        line = before + reader.line_num
        cut = "the file seems cut off there: copy or download it again"
        remedy = cut if _is_cut(path, line) else "correct or delete the row"
        msg = f"{path}:{line}: {error}; {remedy}"
        raise DataError(msg) from None
    return np.array(codes, np.int64), np.concatenate(faces).reshape(-1, SIDE, SIDE), np.array(usages, dtype=str)


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
