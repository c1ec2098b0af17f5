"""Two sides in turns: what slows the machine slows both, and what one side asks of its process stays there."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, set_start_method
from typing import Any

from facts import spread

_WORK: list[Callable[[], Any]] = []  # of a process of `beside`


def in_turns(ways: Mapping[str, Callable[[], object]], repeat: int) -> dict[str, list[float]]:
    """Return the seconds of each way's calls, one of each a turn."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeat):
        for name, work in ways.items():
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
    return times


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> dict[str, float]:
    """Return the spread of theirs over ours, turn by turn."""
    return spread([their / own for their, own in zip(theirs, ours, strict=True)])


@contextmanager
def beside(make: Callable[[], Callable[[], Any]]) -> Generator[Callable[[], Any]]:
    """Yield what does one turn of some work in a process of its own, and returns what comes of it.

    Args:
        make: is called there once and returns the work; both have to be picklable.
    """
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=_settle, initargs=(make,)) as pool:
        yield lambda: pool.submit(_turn).result()


def _settle(make: Callable[[], Callable[[], Any]]) -> None:
    set_start_method(None, force=True)  # a spawned process would spawn others too: a DataLoader's workers, every epoch
    _WORK.append(make())


def _turn() -> Any:
    return _WORK[0]()
