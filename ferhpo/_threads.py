"""Limits BLAS to one thread in the driver, whose cores are busy training."""

from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock

from threadpoolctl import threadpool_limits


class _Limit:
    """One limit for all threads that are in such a block: the first one in sets it, the last one out lifts it."""

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0
        self._limits: threadpool_limits | None = None

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._limits = threadpool_limits(1, user_api="blas")

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._limits is not None:
                self._limits.restore_original_limits()


_limit = _Limit()


@contextmanager
def single_thread() -> Generator[None]:
    """Give BLAS one thread in a block.

    With two threads a sampler fit took 3 s beside two trainings on 2 cores, since idle threads spin; with one, 0.1 s.
    """
    _limit.enter()
    try:
        yield
    finally:
        _limit.leave()
