"""When to stop a trial, by the study file's name."""

from math import inf

from ferhpo.search.asha import Halving, PromotingHalving, rungs
from ferhpo.search.hyperband import Hyperband
from ferhpo.search.median import MedianRule
from ferhpo.search.population import Population
from ferhpo.search.rivals import Rivals
from ferhpo.search.rule import Scheduler
from ferhpo.space.sections import SchedulerSpec


def scheduler(spec: SchedulerSpec, epochs: int, *, maximize: bool, rivals: Rivals | None = None) -> Scheduler:
    """Return the rule that a study file names.

    Args:
        spec: name and settings.
        epochs: of a trial that is never stopped.
        maximize: direction of the metric.
        rivals: the study's other objectives; None where it has one alone.
    """
    rivals = rivals or Rivals()
    at = rungs(spec.grace, spec.reduction, epochs)
    match spec.name:
        case "asha":
            return Halving(at=at, reduction=spec.reduction, maximize=maximize, rivals=rivals)
        case "asha-promote":
            return PromotingHalving(at=at, reduction=spec.reduction, maximize=maximize, rivals=rivals)
        case "hyperband":
            return Hyperband.of(at, spec.reduction, maximize=maximize, rivals=rivals)
        case "median":
            return MedianRule(grace=spec.grace, maximize=maximize, rivals=rivals)
        case "pbt":
            every, size, reduction = spec.grace, spec.population, spec.reduction
            return Population(every=every, size=size, reduction=reduction, maximize=maximize, rivals=rivals)
        case _:
            return Halving(at=(), reduction=spec.reduction, maximize=maximize)


def idle(spec: SchedulerSpec, epochs: int, trials: float = inf) -> str | None:
    """Say that a rule never acts in so many trials of so many epochs, None if it does or is not meant to."""
    if spec.name == "none" or epochs == 1:
        return None
    if spec.grace < epochs:
        if spec.name != "pbt" or spec.population < trials:
            return None
        return (
            f"pbt copies no trial: a copy is a trial too, and a population of {spec.population} leaves none of "
            f"{trials} for them; lower population in [scheduler], or raise --trials"
        )
    return (
        f"{spec.name} stops no trial: its grace, {spec.grace} epochs, is not shorter than a trial, {epochs}; lower "
        'grace in [scheduler], or name it "none"'
    )
