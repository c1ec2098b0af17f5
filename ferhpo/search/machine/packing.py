"""How many trials at a time: measured, since what is best differs by net and by machine.

Small nets gain little from a second thread, and large ones wait for memory when several run at once. So a few training
steps of the study's default configuration are timed in several processes at the same time, for each way of dividing the
machine, see `timing`. What was measured is kept in a file; the decision is made anew for each run, by the trials left
and the memory that is free.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ferhpo.errors import one_line
from ferhpo.search.events import Emit, Note
from ferhpo.search.machine import timing
from ferhpo.search.machine.timing import MARGIN, Measured
from ferhpo.search.machine.workers import Machine, Split, Workers
from ferhpo.space.config import TrialConfig

if TYPE_CHECKING:
    from ferhpo.data.cache import Prepared

TOLERANCE = 0.03  # a sampler learns from trials that ended: of splits this close the one with fewer trials is better
SHORT_PIXELS = 300_000 * 48 * 48  # of all epochs of a search that is over within minutes: a measurement would not pay
SHORT_SECONDS = 180.0  # likewise, of a run with a time limit


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
    key = timing.key(config, data.images.shape[-1], machine, kinds)
    measure = None if short else lambda: timing.probe(machine, config, data)
    try:
        found = timing.remembered(key, data.folder.parent / timing.FILE, measure)
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


def said(split: Split) -> str:
    """Return a split in words."""
    trials, cpus = (f"{n} {name}{'' if n == 1 else 's'}" for n, name in ((split.trials, "trial"), (split.cpus, "CPU")))
    return f"{trials} at a time with {cpus}" + (f" and {split.gpus:g} GPUs" if split.gpus else "") + " each"
