"""Writing files and folders so that a crash, of the machine too, leaves the old one or the new one, never half of one.

A process that is killed while it replaces a folder may leave the old one beside its place, as `.NAME.HEX`.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ferhpo.errors import UsageError


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file at ``path`` in one step; parents are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with part.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    r"""Replace the file at ``path`` by a text in UTF-8; a byte of a file name that is none becomes ``\udcfc``."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: object) -> None:
    """Write ``value`` as indented JSON; NaN and infinity are refused, since JSON has neither."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


@contextmanager
def for_user(path: Path) -> Generator[None]:
    """Say in one sentence why a file that the user may have named cannot be written.

    Raises:
        UsageError: the body could not write it.
    """
    try:
        yield
    except OSError as error:
        msg = f"{path} must be a file that can be written ({error.strerror or error}); name another"
        raise UsageError(msg) from None


@contextmanager
def new_folder(path: Path) -> Generator[Path]:
    """Fill a folder aside, then put it at ``path`` in one rename, once its files are on the disk.

    A folder that stands at ``path`` is replaced, by the last process where several write it; if anything raises, it
    stays. A link stays one: what it points to is replaced.

    Args:
        path: where the folder shall be.

    Yields:
        An empty folder on the same file system.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    part.mkdir()
    try:
        yield part
        _sync(part)
        _replace(path, part)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Wait until the files below a folder are on the disk, memory-mapped ones too: a rename alone may outlive them."""
    for path in filter(Path.is_file, folder.rglob("*")):
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _replace(path: Path, part: Path) -> None:
    """Rename ``part`` to ``path``, over a folder that may stand there."""
    moved = []
    try:
        while not _renamed(part, path):
            moved.append(path.with_name(f".{path.name}.{uuid.uuid4().hex}"))
            with suppress(FileNotFoundError):  # another process was faster
                path.rename(moved[-1])
    except BaseException:
        if moved and not path.exists():
            moved[-1].rename(path)
        raise
    for old in moved:
        shutil.rmtree(old, ignore_errors=True)  # the new one stands, whatever becomes of the old one


def _renamed(part: Path, path: Path) -> bool:
    """Rename a folder; False where another one with something in it has the name."""
    try:
        part.rename(path)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            return False
        raise
    return True


def clear_unfinished(path: Path) -> None:
    """Remove what `new_folder` left beside ``path`` in processes that were killed; nobody may be filling one."""
    for part in path.parent.glob(f".{path.name}.*"):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Generator[None]:
    """Hold an exclusive lock on ``path`` (made if missing) that the kernel drops when we die.

    Args:
        path: the lock file.
        wait: wait for another holder; else raise.

    Raises:
        BlockingIOError: another process holds the lock and ``wait`` is off.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def is_locked(path: Path) -> bool:
    """Tell whether some process holds the lock at ``path``; makes no file, holds a shared lock for an instant."""
    if not path.exists():
        return False
    with path.open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
