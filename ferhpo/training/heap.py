"""The C library's heap on a CPU: memory that one step frees is kept for the next.

An activation of a batch takes tens of megabytes. glibc returns blocks of that size to the system as soon as they are
free, and the system hands them out again page by page, each filled with zeros first: 33,000 page faults a step of the
default net, whose steps are 1.2 times as fast without (docs/benchmarks.md).
"""

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h
_LIBRARY = ctypes.CDLL(None)


def keep() -> None:
    """Let this process keep what it frees, from here on; without effect where the C library is not glibc."""
    with suppress(AttributeError):
        _LIBRARY.mallopt(M_MMAP_MAX, 0)  # no block is a mapping of its own, which ends when it is freed
        _LIBRARY.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def give_back() -> None:
    """Return what is free to the system, as at the end of a training."""
    with suppress(AttributeError):
        _LIBRARY.malloc_trim(0)
