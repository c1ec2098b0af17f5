"""Limits BLAS to one thread in the driver, whose cores are busy training."""

from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock

from threadpoolctl import threadpool_limits

_limiting = Lock()


@contextmanager
def single_thread() -> Generator[None]:
    """Give BLAS one thread in a block.

    With two BLAS threads a sampler fit took 3 s beside two trainings on 2 cores, since idle threads spin; with one,
    0.1 s. The limit is the process's: of blocks that overlap in several threads the first one sets and lifts it, since
    each of the others would take the first one's limit for what to go back to.
    """
    if not _limiting.acquire(blocking=False):
        yield
        return
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        _limiting.release()
