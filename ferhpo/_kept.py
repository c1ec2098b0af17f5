"""What is computed once and kept in a file: measurements of a machine by key, arrays. A lost file costs time alone."""

import json
from collections.abc import Callable
from contextlib import ExitStack, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ferhpo._atomic import locked, write_bytes, write_json

Found = TypeVar("Found")


def remembered(file: Path, key: str, measure: Callable[[], Any], parse: Callable[[Any], Found]) -> Found:
    """Return the value that a file keeps under a key, measured now if it is not there; of several processes one does.

    A file that ``parse`` does not understand is begun anew; where none can be written nothing is kept.

    Args:
        file: JSON, made if missing.
        key: what tells the value from others.
        measure: returns a value that JSON has.
        parse: makes of such a value what is returned; raises ValueError, TypeError, KeyError or AttributeError.
    """
    with ExitStack() as stack:
        with suppress(OSError):  # without a lock several may measure
            stack.enter_context(locked(file.with_suffix(".lock")))
        values = _read(file, parse)
        if key not in values:
            values[key] = measure()
            with suppress(OSError):
                write_json(file, values)
        return parse(values[key])


def known(file: Path, key: str, parse: Callable[[Any], Found]) -> Found | None:
    """Return the value that a file keeps under a key, None where there is none; arguments as `remembered`."""
    values = _read(file, parse)
    return parse(values[key]) if key in values else None


def array(path: Path, shape: tuple[int, ...], compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the array that a file keeps, computed now if it is not there, cannot be read or has another shape.

    Where no file can be written nothing is kept.

    Args:
        path: .npy, made if missing.
        shape: of the array.
        compute: returns it.
    """
    with suppress(OSError, ValueError, EOFError):
        found = np.load(path, allow_pickle=False)
        if found.shape == shape:
            return found
    found, buffer = compute(), BytesIO()
    np.save(buffer, found, allow_pickle=False)
    with suppress(OSError):
        write_bytes(path, buffer.getvalue())
    return found


def _read(file: Path, parse: Callable[[Any], object]) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text())
        for value in values.values():
            parse(value)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    return values
