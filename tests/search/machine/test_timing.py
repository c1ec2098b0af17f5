"""Steps timed in processes that all end."""

import sys

import psutil
import pytest

from ferhpo.errors import SearchError
from ferhpo.search.machine import timing
from ferhpo.search.machine.timing import measure
from ferhpo.search.machine.workers import Machine

GIB = 1 << 30
STAND_IN = """
import json, sys, time
bytes, share, ready, free = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], int(sys.argv[4])
print(ready or json.dumps({"bytes": bytes, "gpu_bytes": bytes, "gpu_free": free}), flush=True)
for line in sys.stdin:
    word = line.split()[0]
    if word == "go":
        print(json.dumps({"rate": 100.0 * threads ** share}), flush=True)
    else:
        threads = int(word)
        print("{}", flush=True)
"""


def command(*, memory: int = GIB, share: float = 0.5, ready: str = "", free: int = 0) -> list[str]:
    """Return a process that answers as the probe does; its rate grows with the threads to the power of ``share``."""
    return [sys.executable, "-c", STAND_IN, str(memory), str(share), ready, str(free)]


def machine(cpus: int = 4, gpus: int = 0, memory: int = 64 * GIB) -> Machine:
    return Machine(cpus=cpus, gpus=gpus, memory=memory)


def children() -> set[int]:
    return {p.pid for p in psutil.Process().children(recursive=True)}


def test_processes_are_timed_together_and_none_is_left() -> None:
    before = children()
    found = measure(command(), machine(4))
    assert found.bytes == GIB
    assert found.rates == pytest.approx({1: 200.0, 2: 2 * 100 * 2**0.5, 4: 400.0})
    assert children() == before


def test_only_what_fits_beside_the_first_process_is_started() -> None:
    assert set(measure(command(), machine(8, memory=4 * GIB)).rates) == {1, 2}


@pytest.mark.parametrize(("free", "fit"), [(1, {1}), (2, {1, 2}), (4, {1, 2}), (5, {1, 2, 4})])
def test_a_gpu_keeps_memory_for_more_than_the_first_steps_of_its_trials(free: int, fit: set[int]) -> None:
    assert set(measure(command(free=free * GIB), machine(16, gpus=1)).rates) == fit


@pytest.mark.parametrize("ready", ["words", '{"error": "no such net"}'])
def test_a_process_that_fails_says_why_and_none_is_left(ready: str) -> None:
    before = children()
    with pytest.raises(SearchError, match=r"words|no such net"):
        measure(command(ready=ready), machine())
    assert children() == before


def test_a_process_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "LIMIT", 0.5)
    before = children()
    with pytest.raises(SearchError, match="a process ended"):
        measure([sys.executable, "-c", "import time; time.sleep(60)"], machine())
    assert children() == before


def test_an_interruption_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = children()
    monkeypatch.setattr(timing, "_ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure(command(), machine())
    assert children() == before
