"""The heap is the process's own, so what is measured of it has a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from ferhpo.data.cache import prepare
from ferhpo.metrics import metric
from ferhpo.space.config import TrialConfig
from ferhpo.space.sections import DataSpec
from ferhpo.training import loop

glibc = pytest.mark.skipif(sys.platform != "linux", reason="another C library")
COUNTED = """
import resource
from ferhpo.training import heap

MIB = 1 << 20

def held():  # MiB
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() // MIB

def faults():  # of ten rounds in each of which three blocks of 40 MiB are filled and freed
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        blocks = [b"x" * (40 * MIB) for _ in range(3)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
"""


def run(script: str) -> list[int]:
    """Return the numbers that a script prints."""
    done = subprocess.run([sys.executable, "-c", COUNTED + script], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


@glibc
def test_memory_that_is_kept_is_not_asked_for_again() -> None:
    without, kept = run("print(faults()); heap.keep(); faults(); print(faults())")

    assert kept < without / 20


@glibc
def test_what_is_free_goes_back_at_the_end() -> None:
    before, kept, after = run("heap.keep(); print(held()); faults(); print(held()); heap.give_back(); print(held())")

    assert kept - before > 80
    assert after - before < 40


@pytest.mark.parametrize("stopped", [False, True])
def test_a_training_keeps_its_memory_until_it_ends_or_is_stopped(
    stopped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    monkeypatch.setattr(loop.heap, "keep", lambda: happened.append("keep"))
    monkeypatch.setattr(loop.heap, "give_back", lambda: happened.append("give back"))
    data = prepare(DataSpec(format="synthetic", rows=100), None, tmp_path)
    config = TrialConfig(width=4, batch_size=32, epochs=2, precision="fp32")

    training = loop.train(config, data, metric=metric("accuracy"))
    next(training)
    assert happened == ["keep"]
    if stopped:
        del training
    else:
        list(training)
    assert happened == ["keep", "give back"]
