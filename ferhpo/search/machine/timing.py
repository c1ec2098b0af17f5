"""A configuration's training steps, timed in several processes at the same time, for each way of dividing a machine.

Images a second in total, about 15 seconds once a machine and net; kept in a file beside the prepared images.
"""

import json
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferhpo import _kept
from ferhpo.errors import SearchError
from ferhpo.search.machine.workers import MOST, Machine
from ferhpo.space.config import TrialConfig

if TYPE_CHECKING:
    from ferhpo.data.cache import Prepared

FILE = "packing.json"  # beside the prepared images
SECONDS = 1.0  # of steps timed, a candidate and round
ROUNDS = 2  # the better one counts: another program may have been at work in the other
LIMIT, LIMIT_GPU = 90.0, 300.0  # seconds after which a measurement is given up; a GPU's libraries load slowly at first
MARGIN = 1.5  # memory of a trial over that of its first steps: validation, moving average, checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a machine did.

    Args:
        rates: images a second in total, by trials at a time (on CPUs in all, on GPUs on each).
        bytes: memory of a trial.
    """

    rates: dict[int, float]
    bytes: int


def measure(command: Sequence[str], machine: Machine) -> Measured:
    """Time steps of one, two, ... processes at the same time; none of them is left when this returns.

    Args:
        command: of one process that answers as `probe` does.
        machine: how many fit is seen from the memory of the first.

    Raises:
        SearchError: a process failed, or it took too long.
    """
    wanted = machine.candidates(MOST * max(1, machine.gpus))
    with _processes(command, LIMIT_GPU if machine.gpus else LIMIT) as start:
        first = start()
        used = _answer(first)
        room = machine.memory // (MARGIN * used["bytes"])
        if machine.gpus:
            room = min(room, (used["gpu_free"] + used["gpu_bytes"]) // (MARGIN * used["gpu_bytes"]))
        wanted = [n for n in wanted if n == 1 or n <= room]
        team = [first, *(start() for _ in range(max(wanted) - 1))]
        for process in team[1:]:
            _answer(process)
        rates = dict.fromkeys(wanted, 0.0)
        for n in wanted * ROUNDS:
            _ask(team[:n], f"{machine.split(n, n).cpus}")
            rates[n] = max(rates[n], sum(answer["rate"] for answer in _ask(team[:n], f"go {SECONDS}")))
    return Measured(rates=rates, bytes=used["bytes"])


@contextmanager
def _processes(command: Sequence[str], limit: float) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Yield what starts a process; all of them are killed at the end of the context, or after ``limit`` seconds."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        )
        return started[-1]

    def kill() -> None:
        for process in started:
            process.kill()

    watchdog = threading.Timer(limit, kill)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield start
    finally:
        watchdog.cancel()
        kill()
        for process in started:
            process.communicate()


def _ask(processes: Sequence[subprocess.Popen[str]], line: str) -> list[dict[str, Any]]:
    """Send a line to all before any of them is waited for."""
    for process in processes:
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, which its answer will tell
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
    return [_answer(process) for process in processes]


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        found = json.loads(line)
    except ValueError:
        found = {"error": "a process ended without an answer" if not line else line.strip()}
    if "error" in found:
        raise SearchError(found["error"])
    return found


def probe(machine: Machine, config: TrialConfig, data: "Prepared") -> Measured:
    """Time the steps of a configuration.

    Args:
        machine: what they share.
        config: a typical trial's.
        data: prepared images.

    Raises:
        SearchError: as `measure`.
    """
    device = "cuda" if machine.gpus else "cpu"
    words = [str(data.folder.resolve()), device, config.to_json()]
    return measure([sys.executable, "-m", "ferhpo.search.machine.probe", *words], machine)


def remembered(key: str, cache: Path, measured: Callable[[], Measured] | None) -> Measured | None:
    """Return what is known of a key, measured now if it is not; of several searches one measures.

    Args:
        key: see `key`.
        cache: the file that keeps it.
        measured: measures it; None where that may not be.
    """
    if measured is None:
        return _kept.known(cache, key, _parsed)
    return _kept.remembered(cache, key, lambda: asdict(measured()), _parsed)


def _parsed(value: dict[str, Any]) -> Measured:
    rates = {int(n): float(rate) for n, rate in value["rates"].items()}
    if 1 not in rates:  # one process always fits
        raise KeyError(1)
    return Measured(rates=rates, bytes=int(value["bytes"]))


def key(config: TrialConfig, channels: int, machine: Machine, kinds: Sequence[str]) -> str:
    """Return the name under which a measurement is kept: the same for what would give the same figures.

    Args:
        config: a typical trial's.
        channels: of the images.
        machine: what trials share.
        kinds: of its GPUs, by Ray's names.
    """
    net = (config.net(), f"{channels}-channels", f"batch-{config.batch_size}")
    here = (platform.node(), f"{machine.cpus}-cpus", f"{machine.gpus}-gpus", *kinds, version("torch"))
    return " ".join(map(str, (*net, config.precision, *here)))
