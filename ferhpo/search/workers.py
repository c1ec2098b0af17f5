"""Where trials run: what the user says, and the rule that fills in what was left open."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

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
        cpus: CPUs of one trial; None takes what a measurement says, else a quarter of the machine, at least one.
        gpus: GPUs of one trial, fractions allowed; None takes what a measurement says, else one where there is one.
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
        gpus = self.gpus if self.gpus is not None else min(1.0, have_gpus)
        cpus = self.cpus if self.cpus is not None else max(1, have_cpus // max(4, int(have_gpus)))
        if cpus > have_cpus or gpus > have_gpus:
            msg = (
                f"a trial must fit the machine: it asks for {cpus} CPUs and {gpus:g} GPUs, there are "
                f"{have_cpus} and {have_gpus:g}"
            )
            raise UsageError(msg)
        room = have_cpus // cpus
        if gpus:
            room = min(room, int(have_gpus / gpus))
        return Split(trials=min(room, self.concurrency or room), cpus=cpus, gpus=gpus)
