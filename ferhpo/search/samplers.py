"""What to try next, by the study file's name: our own sampler, the grid, and Optuna's."""

import math
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from optuna import samplers
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from ferhpo._seeding import derive
from ferhpo.metrics import COST_METRICS
from ferhpo.search.grid import Grid, grid
from ferhpo.search.prior import Records, trials
from ferhpo.search.sampler import FidelitySampler, Points
from ferhpo.space.space import Space
from ferhpo.space.spec import StudySpec
from ferhpo.study.current import Current, filled, trained_with, unsearched
from ferhpo.study.quantities import by_epoch
from ferhpo.study.view import Around, view


class NSGAIISampler(samplers.NSGAIISampler):  # Optuna keeps generations under the class's name
    """Optuna's, which would end with an error where a changed range leaves one parent of a generation."""

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        """Return the parents, none where one alone could be crossed with nobody: the trial is then random."""
        found = super().get_parent_population(study, generation)
        return found if len(found) > 1 else []


class GPSampler(samplers.GPSampler):
    """Optuna's, which sees COMPLETE trials alone: what ended early, or waits, it would propose again and again."""

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the proposal, nothing where a trial that is not COMPLETE has it: this one is then random."""
        found = super().sample_relative(study, trial, search_space)
        others = [t for t in study.get_trials(deepcopy=False) if t.state != TrialState.COMPLETE]
        had = (t.params.items() for t in others if t.number != trial.number)
        return {} if any(found.items() <= params for params in had) else found


class Ranked(Around):
    """TPE, which ranks stopped trials by their last value: with several objectives that ends with an error."""

    def seen(self, study: Study) -> Study:
        """Return the study, with several objectives without what an earlier scheduler stopped."""
        return study if len(study.directions) == 1 else view(study, lambda t: None if _stopped(t) else t)


def _stopped(trial: FrozenTrial) -> bool:
    """Tell whether a scheduler ended a trial; what a constraint ended, TPE ranks by that."""
    return trial.state == TrialState.PRUNED and not any(excess > 0 for excess in trial.constraints.values())


class QMCSampler(samplers.QMCSampler):
    """Optuna's, with one sequence over what always applies: its own begins anew with every other set of parameters.

    Args:
        space: the study file's.
        seed: of the scrambling.
    """

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(seed=seed, scramble=True, warn_independent_sampling=False, warn_asynchronous_seeding=False)
        now_and_then = {*space.conditional, *space.unreachable}
        every = {d.name: d.distribution() for d in space.dimensions if d.name not in now_and_then}
        self._own: dict[str, BaseDistribution] = {name: d for name, d in every.items() if not d.single()}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what always applies."""
        del study, trial
        return self._own


def sampler(spec: StudySpec, done: int, prior: Mapping[str, Records] = MappingProxyType({})) -> BaseSampler:
    """Return the sampler that a study file names.

    Args:
        spec: the study file.
        done: how far the study is, see `StudyWriter`; part of the seed, so that a search that goes on does not draw the
            same points again. Not of that of qmc and grid, which go on with their sequence.
        prior: what the study keeps of other ones, see `prior`; fidelity alone learns from it.

    Raises:
        SpecError: the sampler cannot take the space.
    """
    _check_space(spec)
    seed, space = derive(spec.seed, "sampler", done) % 2**32, spec.space
    match spec.sampler.name:
        case "fidelity":
            return FidelitySampler(
                spec.budget.epochs,
                seed,
                startup=spec.sampler.startup,
                choices={d.name: d.choices for d in space.dimensions if d.choices},
                prior=[t for kept in prior.values() for t in trials(kept, space)],
                points=partial(logged_points, spec.objectives),
                names=[d.name for d in space.dimensions],
                had=partial(filled, space),
                same=partial(trained_with, fixed=unsearched(space)),
                around=space.defaults(),
            )
        case "random":
            return RandomSampler(seed=seed)
        case "grid":
            return Grid(grid(spec), space, derive(spec.seed, "sampler") % 2**32)
        case _:
            return Current(_optunas(spec, seed), space)


def _optunas(spec: StudySpec, seed: int) -> BaseSampler:
    startup = spec.sampler.startup
    with warnings.catch_warnings():  # Optuna still calls some of them, and `group`, experimental
        warnings.simplefilter("ignore", ExperimentalWarning)
        match spec.sampler.name:
            case "tpe":  # `group` is what conditional spaces need
                return Ranked(samplers.TPESampler(seed=seed, n_startup_trials=startup, multivariate=True, group=True))
            case "gp":
                return GPSampler(seed=seed, n_startup_trials=startup, warn_independent_sampling=False)
            case "cmaes":
                return samplers.CmaEsSampler(seed=seed, n_startup_trials=startup, warn_independent_sampling=False)
            case "qmc":
                return QMCSampler(spec.space, derive(spec.seed, "sampler") % 2**32)
            case _:
                return NSGAIISampler(seed=seed)


def logged_points(objectives: Sequence[str], trial: FrozenTrial) -> Points:
    """Return a trial's objectives by epoch as ferhpo stores them; costs as logarithms, since they differ by factors."""
    rows = by_epoch(trial.user_attrs, objectives)
    logged = [name in COST_METRICS for name in objectives]
    return {
        epoch: [math.log(max(value, 1e-9)) if log else value for value, log in zip(row, logged, strict=True)]
        for epoch, row in rows.items()
    }


def _check_space(spec: StudySpec) -> None:
    """Refuse a space, or objectives, that the sampler would search badly or not at all."""
    name, space = spec.sampler.name, spec.space
    if len(spec.objectives) > 1 and (name == "cmaes" or (name == "tpe" and spec.scheduler.name != "none")):
        why = "one objective" if name == "cmaes" else "several objectives only where no trial is stopped early"
        msg = f"{name} takes {why}, got {', '.join(spec.objectives)}; choose fidelity, gp or nsga2"
        raise spec.error(msg, "sampler", "name")
    if name in {"cmaes", "grid"} and space.conditional:
        msg = (
            f"{name} takes a space in which every dimension always applies, got {space.conditional[0]}, which depends "
            "on another one; choose fidelity or tpe, or fix it"
        )
        raise spec.error(msg, "sampler", "name")
    if name == "cmaes" and spec.constraints:
        msg = f"cmaes takes no constraints, got {spec.constraints[0]}; choose fidelity, tpe or nsga2"
        raise spec.error(msg, "sampler", "name")
    if name == "cmaes" and all(d.choices or d.name in space.unreachable for d in space.dimensions):
        msg = "cmaes needs at least one range, got choices only; choose fidelity, tpe or grid"
        raise spec.error(msg, "sampler", "name")
