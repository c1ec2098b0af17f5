"""Where trials run: what the user says, and the rule that fills in what was left open."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, inf

from ferhpo.errors import UsageError


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
class Workers:
    """Where trials run.

    Args:
        cpus: CPUs of one trial; None takes what a measurement says, else an equal share of the machine for each trial
            at a time, at least one; a quarter where neither ``concurrency`` nor ``gpus`` says how many those are.
        gpus: GPUs of one trial, fractions allowed; None takes what a measurement says, else one where there is one, or
            the fraction of one with which ``concurrency`` trials fit.
        concurrency: trials at a time; None takes what fits.
        address: of a Ray cluster; None starts Ray here.
    """

    cpus: int | None = None
    gpus: float | None = None
    concurrency: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("--cpus-per-trial", self.cpus), ("--concurrency", self.concurrency)):
            if value is not None and value < 1:
                msg = f"{name} must be at least 1, got {value}"
                raise UsageError(msg)
        if self.gpus is not None and not 0 <= self.gpus < inf:
            msg = f"--gpus-per-trial must be 0 or more, got {self.gpus}"
            raise UsageError(msg)

    def fit(self, resources: Mapping[str, float]) -> Split:
        """Return how these resources are divided when nothing was measured.

        Args:
            resources: by Ray's names: CPU, GPU.

        Raises:
            UsageError: not one trial fits.
        """
        have_cpus, have_gpus = int(resources.get("CPU", 1)), resources.get("GPU", 0.0)
        gpus = self.gpus if self.gpus is not None else _share(have_gpus, self.concurrency or 1)
        on_gpus = _places(have_gpus, gpus) if gpus else have_cpus
        at_a_time = self.concurrency or (max(4, on_gpus) if gpus else 4)
        cpus = self.cpus if self.cpus is not None else max(1, have_cpus // at_a_time)
        if cpus > have_cpus or gpus > have_gpus:
            msg = (
                f"a trial must fit the machine: it asks for {cpus} CPUs and {gpus:g} GPUs, there are "
                f"{have_cpus} and {have_gpus:g}"
            )
            raise UsageError(msg)
        room = min(have_cpus // cpus, on_gpus)
        return Split(trials=min(room, self.concurrency or room), cpus=cpus, gpus=gpus)


def _share(have: float, trials: int) -> float:
    """Return the GPUs of each of so many trials, 0 where there is none: one, or an equal fraction of one."""
    return 1 / ceil(trials / have) if have >= 1 else have


def _places(have: float, gpus: float) -> int:
    """Return how many trials have room on GPUs: a fraction of one is never made up of two."""
    return int(have // gpus) if gpus >= 1 else int(have) * int(1 / gpus + 1e-9)
