"""Where readers put decoded images: in memory, or in a memory-mapped file of the folder that will keep them.

So a set may be larger than the memory.
"""

import os
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np

_FOLDER: ContextVar[Path | None] = ContextVar("_FOLDER", default=None)
_PREFIX = "reading-"


@contextmanager
def images_in(folder: Path) -> Generator[None]:
    """Let `new_images` make its arrays in files of ``folder`` for the length of the context."""
    token = _FOLDER.set(folder)
    try:
        yield
    finally:
        _FOLDER.reset(token)


def new_images(rows: int, size: int, channels: int) -> np.ndarray:
    """Return a uint8 array, rows x size x size x channels, to be filled: every reader of a format takes it from here.

    Where the rows are not known beforehand, take as many as there may be and return the first of them.

    Raises:
        OSError: within `images_in`, the disk has no room for it.
    """
    folder, shape = _FOLDER.get(), (rows, size, size, channels)
    if folder is None or not rows:
        return np.empty(shape, np.uint8)
    path = folder / f"{_PREFIX}{uuid.uuid4().hex}.npy"
    made = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    with path.open("r+b") as file:  # a full disk shall be an error here, not a dead process at the first page written
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return made


def keep_images(images: np.ndarray, path: Path) -> None:
    """Store images at ``path``: an array of `new_images` in the same folder, or its first rows, without a copy."""
    file = _file_of(images)
    if file is not None and file.parent == path.parent and file.name.startswith(_PREFIX):
        _shorten(file, images.shape)
        file.rename(path)
    else:
        np.save(path, np.ascontiguousarray(images, np.uint8), allow_pickle=False)
    for rest in path.parent.glob(f"{_PREFIX}*"):
        rest.unlink()


def _file_of(images: np.ndarray) -> Path | None:
    """Return the file that begins with these images, None if there is none."""
    whole = images.base if isinstance(images.base, np.memmap) else images
    if not isinstance(whole, np.memmap) or whole.filename is None:
        return None
    begins = images.ctypes.data == whole.ctypes.data and images.strides == whole.strides
    return Path(whole.filename) if begins and images.shape[1:] == whole.shape[1:] else None


def _shorten(file: Path, shape: tuple[int, ...]) -> None:
    """Cut an array file down to its first rows; numpy leaves room in the header for any number of them."""
    with file.open("r+b") as out:
        np.lib.format.read_magic(out)
        np.lib.format.read_array_header_1_0(out)
        start = out.tell()
        out.seek(0)
        described = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(out, described)
        assert out.tell() == start
        out.truncate(start + int(np.prod(shape)))
