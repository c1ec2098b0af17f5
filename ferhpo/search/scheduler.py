"""When to stop a trial, by the study file's name."""

from collections.abc import Iterable
from math import inf

from ferhpo.metrics import metric
from ferhpo.search.schedulers.asha import Halving, PromotingHalving, rungs
from ferhpo.search.schedulers.hyperband import Hyperband
from ferhpo.search.schedulers.median import MedianRule
from ferhpo.search.schedulers.population import Population
from ferhpo.search.schedulers.rivals import Rivals
from ferhpo.search.schedulers.rule import Scheduler
from ferhpo.space.aims import broken
from ferhpo.space.sections import SchedulerSpec
from ferhpo.space.spec import StudySpec
from ferhpo.study.quantities import by_epoch, known
from ferhpo.study.trial import Trial


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


def rebuilt(spec: StudySpec, found: Iterable[Trial], rivals: Rivals) -> Scheduler:
    """Return a study's rule with its memory of the trials so far; those of another budget are left out.

    Args:
        spec: the study file.
        found: the study's trials.
        rivals: of the study; what is known of these trials is noted in it.
    """
    rule = scheduler(spec.scheduler, spec.budget.epochs, maximize=metric(spec.metric).maximize, rivals=rivals)
    for trial in found:
        if trial.config is not None and trial.config.epochs == spec.budget.epochs:
            for epoch, values in by_epoch(trial.attrs, rivals.names).items():
                rivals.take(trial.number, epoch, values)
            left = trial.state == "PRUNED" and broken(spec.constraints, known(trial.attrs), whole=False)
            rule.record(trial.number, {} if left else judged(trial), trial.attrs)
    return rule


def judged(trial: Trial) -> dict[int, float]:
    """Return the values by epoch that a scheduler was shown and still goes by.

    A finished trial's last one, perhaps restored, was not, nor that after which a trial broke a constraint. Those of a
    failed trial are forgotten.
    """
    if trial.state == "FAIL":
        return {}
    last = max(trial.values, default=0) if trial.state == "COMPLETE" or not trial.feasible else 0
    return {epoch: value for epoch, value in trial.values.items() if epoch != last}


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
