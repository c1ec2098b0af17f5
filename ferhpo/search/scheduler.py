"""When to stop a trial, by the study file's name."""

from ferhpo.search.asha import Halving, PromotingHalving, rungs
from ferhpo.search.hyperband import Hyperband
from ferhpo.search.median import MedianRule
from ferhpo.search.rule import Scheduler
from ferhpo.space.spec import SchedulerSpec


def scheduler(spec: SchedulerSpec, epochs: int, *, maximize: bool) -> Scheduler:
    """Return the rule that a study file names.

    Args:
        spec: name and settings.
        epochs: of a trial that is never stopped.
        maximize: direction of the metric.
    """
    at = rungs(spec.grace, spec.reduction, epochs)
    match spec.name:
        case "asha":
            return Halving(at=at, reduction=spec.reduction, maximize=maximize)
        case "asha-promote":
            return PromotingHalving(at=at, reduction=spec.reduction, maximize=maximize)
        case "hyperband":
            return Hyperband.of(at, spec.reduction, maximize=maximize)
        case "median":
            return MedianRule(grace=spec.grace, maximize=maximize)
        case _:
            return Halving(at=(), reduction=spec.reduction, maximize=maximize)
