"""What a trial's net costs, measured by its worker before the first epoch is paid for."""

import platform
from importlib.metadata import version

from ferhpo import _kept
from ferhpo.models import user
from ferhpo.search.job import Job
from ferhpo.space.config import TrialConfig

FILE = "latency.json"  # beside the prepared images: a net takes the same time in every trial


def of_net(config: TrialConfig, job: Job) -> dict[str, float]:
    """Return params and latency_ms of a config's net, as far as the study asks for them.

    Raises:
        ModelError: the net cannot be had.
    """
    from ferhpo.data.cache import open_prepared
    from ferhpo.training import cost

    asked = {"params", "latency_ms"} & set(job.costs)
    if not asked:
        return {}
    user.trust(config.arch)
    data = open_prepared(job.data)
    channels = data.images.shape[-1]
    model = cost.untrained(config, classes=len(data.classes), channels=channels)
    found: dict[str, float] = {}
    if "params" in asked:
        found["params"] = cost.parameters(model)
    if "latency_ms" in asked:

        def measure() -> float:
            return cost.latency_ms(model, channels=channels, size=config.image_size)

        own = config.arch.startswith(f"{user.LIBRARY}:")  # its code may change, and other settings may shape it
        here = f"{platform.node()} {cost.THREADS}-threads {version('torch')}"
        key = f"{config.net()} denoise-{config.denoise} {channels}-channels {here}"
        found["latency_ms"] = measure() if own else _kept.remembered(job.data.parent / FILE, key, measure, float)
        found["latency_threads"] = cost.THREADS
    return found


def begin(job: Job) -> None:
    """Take note that a trial's training begins in this process."""
    if "memory_mib" in job.costs:
        from ferhpo.training import cost

        cost.forget_peak(job.device)


def of_training(job: Job) -> dict[str, float]:
    """Return memory_mib since `begin`, on a GPU since the first step, if the study asks for it."""
    if "memory_mib" not in job.costs:
        return {}
    from ferhpo.training import cost

    return {"memory_mib": cost.peak_mib(job.device)}
