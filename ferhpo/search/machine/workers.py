"""Where trials run: what the user says, and the rule that fills in what was left open."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf
from numbers import Real

from ferhpo.errors import UsageError
from ferhpo.search.budget import check_count
from ferhpo.search.events import Emit, Note

USES_A_GPU = (sys.executable, "-c", "import torch; print(torch.ones(1, device='cuda').sum().item())")
GPU_SECONDS = 300.0  # after which a GPU is taken not to answer; torch alone may load for a minute from a slow disk

MOST = 16  # trials at a time on CPUs; with more a sampler would be guessing
ON_A_GPU = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How a machine is divided among trials.

    Args:
        trials: at a time.
        cpus: of one trial.
        gpus: of one trial, 0.25 puts four on one.
    """

    trials: int
    cpus: int
    gpus: float = 0.0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Where trials run.

    Args:
        cpus: CPUs of one trial; None takes what was measured, else those of a machine over the trials at a time on it:
            ``concurrency``, or four, or as many as its GPUs hold where those are more.
        gpus: GPUs of one trial, fractions allowed; None takes what was measured, else one where there is one, or the
            fraction of one with which ``concurrency`` trials fit.
        concurrency: trials at a time; None takes what fits.
        address: of a Ray cluster; None starts Ray here.
    """

    cpus: int | None = None
    gpus: float | None = None
    concurrency: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        check_count("--cpus-per-trial", self.cpus)
        check_count("--concurrency", self.concurrency)
        if self.gpus is not None and not (isinstance(self.gpus, Real) and 0 <= self.gpus < inf):
            msg = f"--gpus-per-trial must be a number of 0 or more, got {self.gpus!r}"
            raise UsageError(msg)
        if self.gpus is not None and self.gpus > 1 and self.gpus % 1:
            msg = f"--gpus-per-trial must be a whole number or a fraction of one GPU, got {self.gpus:g}"
            raise UsageError(msg)

    def fit(self, *nodes: Mapping[str, float]) -> Split:
        """Return how machines are divided when nothing was measured; a trial runs on one of them.

        Args:
            nodes: each one's resources by Ray's names: CPU, GPU.

        Raises:
            UsageError: not one trial fits.
        """
        on_gpus = self.gpus != 0 and any(node.get("GPU") for node in nodes)
        able = [node for node in nodes if node.get("CPU") and (node.get("GPU") or not on_gpus)] or nodes
        large = max(able, key=lambda node: (node.get("GPU", 0.0) * on_gpus, node.get("CPU", 0.0)))
        have_cpus, have_gpus = int(large.get("CPU", 0)), large.get("GPU", 0.0)
        wanted = self.concurrency and ceil(self.concurrency / len(able))
        gpus = self.gpus
        if gpus is None:
            most = max(1, min(wanted or 1, have_cpus // (self.cpus or 1)))
            gpus = 1 / ceil(most / have_gpus) if on_gpus else 0.0
        places = _places(have_gpus, gpus) if gpus else have_cpus
        at_a_time = min(wanted, max(1, places)) if wanted else max(4, places if gpus else 4)
        cpus = self.cpus if self.cpus is not None else max(1, have_cpus // at_a_time)
        if cpus > have_cpus or gpus > have_gpus:
            msg = (
                f"a trial must fit the machine: it asks for {cpus} CPUs and {gpus:g} GPUs, there are "
                f"{have_cpus} and {have_gpus:g}; lower --cpus-per-trial or --gpus-per-trial"
            )
            raise UsageError(msg)
        room = sum(_room(node, cpus, gpus) for node in nodes)
        return Split(trials=min(room, self.concurrency or room), cpus=cpus, gpus=gpus)


def with_usable_gpus(
    nodes: Sequence[Mapping[str, float]], workers: Workers, emit: Emit, command: Sequence[str] = USES_A_GPU
) -> Sequence[Mapping[str, float]]:
    """Return the resources of this machine, without its GPUs if torch cannot compute on them.

    Ray counts whatever GPUs the system shows, those that this torch is too old for or not built for as well.

    Args:
        nodes: the machine's resources, by Ray's names.
        workers: what the user says.
        emit: is told why the GPUs are left alone.
        command: ends with 0 where torch can compute on a GPU. Another process tries, so that neither torch nor a share
            of the GPU's memory stays with the driver.

    Raises:
        UsageError: the user asks for GPUs, and torch cannot compute on them.
    """
    if workers.gpus == 0 or not any(node.get("GPU") for node in nodes):
        return nodes
    reason = _why_not(command)
    if not reason:
        return nodes
    if workers.gpus:
        msg = f"--gpus-per-trial must be 0 where torch cannot use the GPU, got {workers.gpus:g} ({reason})"
        raise UsageError(msg)
    emit(Note(text=f"trials run on the CPUs, since torch cannot use this machine's GPU ({reason})"))
    return [{name: value for name, value in node.items() if name != "GPU"} for node in nodes]


def _why_not(command: Sequence[str]) -> str:
    """Return why a command failed, "" if it did not."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=GPU_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"it gave no answer within {GPU_SECONDS:.0f} s"
    if ran.returncode == 0:
        return ""
    return next(reversed(ran.stderr.strip().splitlines()), f"the process ended with {ran.returncode}")


def _room(node: Mapping[str, float], cpus: int, gpus: float) -> int:
    """Return how many trials of so many CPUs and GPUs fit a machine."""
    room = int(node.get("CPU", 0)) // cpus  # a cluster's head may have none
    return min(room, _places(node.get("GPU", 0.0), gpus)) if gpus else room


def _places(have: float, gpus: float) -> int:
    """Return how many trials have room on GPUs: a fraction of one is never made up of two."""
    return int(have // gpus) if gpus >= 1 else int(have) * int(1 / gpus + 1e-9)
