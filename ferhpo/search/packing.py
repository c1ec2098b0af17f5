"""How many trials at a time: measured, since what is best differs by net and by machine.

Small nets gain little from a second thread, and large ones wait for memory when several run at once. So a few training
steps of the study's default configuration are timed in several processes at the same time, for each way of dividing the
machine: images a second in total, about 15 seconds once a machine and net. What was measured is kept in a file; the
decision is made anew for each run, by the trials left and the memory that is free.
"""

import json
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferhpo._atomic import locked, write_json
from ferhpo.errors import SearchError
from ferhpo.search.events import Emit, Note
from ferhpo.search.work import one_line
from ferhpo.search.workers import Split, Workers
from ferhpo.space.config import TrialConfig

if TYPE_CHECKING:
    from ferhpo.data.cache import Prepared

FILE = "packing.json"  # beside the prepared images
SECONDS = 1.0  # of steps timed, a candidate and round
ROUNDS = 2  # the better one counts: another program may have been at work in the other
LIMIT = 90.0  # seconds after which a measurement is given up
TOLERANCE = 0.03  # a sampler learns from trials that ended: of splits this close the one with fewer trials is better
MOST = 16  # trials at a time on CPUs; with more a sampler would be guessing
ON_A_GPU = (1, 2, 4, 8)
MARGIN = 1.5  # memory of a trial over that of its first steps: validation, moving average, checkpoint
SHORT_PIXELS = 300_000 * 48 * 48  # of all epochs of a search that is over within minutes: a measurement would not pay
SHORT_SECONDS = 180.0  # likewise, of a run with a time limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a machine did.

    Args:
        rates: images a second in total, by trials at a time (on CPUs in all, on GPUs on each).
        bytes: memory of a trial.
    """

    rates: dict[int, float]
    bytes: int


def choose(
    workers: Workers,
    nodes: Sequence[Mapping[str, float]],
    *,
    config: TrialConfig,
    data: "Prepared",
    trials: int,
    epochs: float,
    seconds: float,
    emit: Emit,
) -> Split:
    """Return how a machine is divided among trials: as the user says, as measured, or by the rule of `Workers.fit`.

    Nothing is measured where the user said how many CPUs, GPUs or trials, on a cluster, where one trial is left, and
    where the search is short (`SHORT_PIXELS`, `SHORT_SECONDS`) unless an earlier search has measured already. A
    measurement that fails is a note, never an error.

    Args:
        workers: what the user says.
        nodes: the resources of each machine, by Ray's names: CPU, GPU, memory in bytes; one unless on a cluster.
        config: a typical trial's.
        data: prepared images.
        trials: that are left.
        epochs: of training that are left, at most.
        seconds: likewise.
        emit: is told what was measured.

    Raises:
        UsageError: not one trial fits.
    """
    rule = workers.fit(*nodes)
    if workers.cpus or workers.concurrency or workers.gpus or workers.address:
        return rule
    (resources,) = nodes
    gpus = int(resources.get("GPU", 0)) if rule.gpus else 0
    memory = int(resources.get("memory", 1 << 62)) // max(1, gpus)
    machine = Machine(cpus=int(resources.get("CPU", 1)), gpus=gpus, memory=memory)
    if trials == 1 and not gpus:
        return Split(trials=1, cpus=machine.cpus)
    wanted = machine.candidates(trials)
    if len(wanted) < 2:
        return rule
    pixels = epochs * len(data.part("train").rows) * config.image_size**2
    short = pixels < SHORT_PIXELS or seconds < SHORT_SECONDS
    kinds = sorted(name for name in resources if name.startswith("accelerator_type:"))
    key = _key(config, data.images.shape[-1], machine, kinds)
    try:
        found = _remembered(key, data.folder.parent / FILE, None if short else lambda: _probe(machine, config, data))
    except Exception as error:  # noqa: BLE001 - a measurement must never end a search
        emit(Note(text=f"the best split of this machine could not be measured ({one_line(error)}); {said(rule)}"))
        return rule
    if found is None:
        return rule
    at_a_time = decide(found, wanted, machine.memory)
    split = machine.split(at_a_time, trials)
    where = "in total on a GPU" if gpus else "in total"
    others = [f"{n} with {machine.split(n, n).cpus}: {rate:.0f}" for n, rate in found.rates.items() if n != at_a_time]
    emit(Note(text=f"{said(split)}: {', '.join([f'{found.rates[at_a_time]:.0f} images/s {where}', *others])}"))
    return split


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What trials share.

    Args:
        cpus: in all.
        gpus: in all, 0 trains on the CPUs.
        memory: bytes that are free, for the trials of one GPU or of all CPUs.
    """

    cpus: int
    gpus: int
    memory: int

    def candidates(self, trials: int) -> list[int]:
        """Return numbers of trials at a time, on CPUs in all and on GPUs on each, for so many trials left.

        On CPUs: powers of two that divide them, and one CPU each.
        """
        if self.gpus:
            most = min(self.cpus // self.gpus, -(-trials // self.gpus))
            return [n for n in ON_A_GPU if n <= max(1, most)]
        whole = {1 << i for i in range(self.cpus.bit_length()) if self.cpus % (1 << i) == 0}
        return sorted(n for n in whole | {self.cpus} if n <= min(MOST, trials))

    def split(self, at_a_time: int, trials: int) -> Split:
        """Return the split for one of the candidates."""
        if not self.gpus:
            return Split(trials=at_a_time, cpus=self.cpus // at_a_time)
        cpus = max(1, self.cpus // (self.gpus * at_a_time))
        return Split(trials=min(self.gpus * at_a_time, trials), cpus=cpus, gpus=1 / at_a_time)


def decide(found: Measured, wanted: Sequence[int], memory: int) -> int:
    """Return the number of trials at a time: the fewest within `TOLERANCE` of the fastest that fit into the memory.

    Args:
        found: what was measured.
        wanted: candidates, among them 1, which always fits.
        memory: bytes that are free.
    """
    fitting = [n for n in wanted if n in found.rates and (n == 1 or n * MARGIN * found.bytes <= memory)]
    best = max(found.rates[n] for n in fitting)
    return min(n for n in fitting if found.rates[n] >= (1 - TOLERANCE) * best)


def measure(command: Sequence[str], machine: Machine) -> Measured:
    """Time steps of one, two, ... processes at the same time; none of them is left when this returns.

    Args:
        command: of one process that answers as `probe` does.
        machine: how many fit is seen from the memory of the first.

    Raises:
        SearchError: a process failed, or it took too long.
    """
    wanted = machine.candidates(MOST * max(1, machine.gpus))
    with _processes(command) as start:
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
def _processes(command: Sequence[str]) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Yield what starts a process; all of them are killed at the end of the context, or after `LIMIT` seconds."""
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

    watchdog = threading.Timer(LIMIT, kill)
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


def _probe(machine: Machine, config: TrialConfig, data: "Prepared") -> Measured:
    device = "cuda" if machine.gpus else "cpu"
    words = [str(data.folder.resolve()), device, config.to_json()]
    return measure([sys.executable, "-m", "ferhpo.search.probe", *words], machine)


def _remembered(key: str, cache: Path, probe: Callable[[], Measured] | None) -> Measured | None:
    """Return what is known of a key, measured now if it is not and may be; of several searches one measures."""
    if probe is None:
        return _read(cache).get(key)
    with locked(cache.with_suffix(".lock")):
        known = _read(cache)
        if key not in known:
            known[key] = probe()
            write_json(cache, {name: asdict(found) for name, found in known.items()})
        return known[key]


def _read(cache: Path) -> dict[str, Measured]:
    try:
        known = {
            key: Measured(rates={int(n): float(r) for n, r in value["rates"].items()}, bytes=int(value["bytes"]))
            for key, value in json.loads(cache.read_text()).items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}  # nothing is lost but some seconds
    return {key: found for key, found in known.items() if 1 in found.rates}


def _key(config: TrialConfig, channels: int, machine: Machine, kinds: Sequence[str]) -> str:
    net = (config.net(), f"{channels}-channels", f"batch-{config.batch_size}")
    here = (platform.node(), f"{machine.cpus}-cpus", f"{machine.gpus}-gpus", *kinds, version("torch"))
    return " ".join(map(str, (*net, config.precision, *here)))


def said(split: Split) -> str:
    """Return a split in words."""
    trials, cpus = (f"{n} {name}{'' if n == 1 else 's'}" for n, name in ((split.trials, "trial"), (split.cpus, "CPU")))
    return f"{trials} at a time with {cpus}" + (f" and {split.gpus:g} GPUs" if split.gpus else "") + " each"
