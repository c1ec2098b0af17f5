"""What to try next: ferhpo's own sampler, which learns from every epoch of every trial, and Optuna's by name."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from optuna import samplers
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ferhpo._seeding import derive
from ferhpo.search.encoding import Encoding, Presence
from ferhpo.search.fidelity import Curve, Surrogate, curve, expected_improvement
from ferhpo.search.prior import Records, trials
from ferhpo.space.spec import StudySpec

Params = frozenset[tuple[str, Any]]
EXPLORE = 0.15  # share of random trials, which never ends: under a scheduler most of them cost little
REFIT = 1.1  # the model's lengths are fitted anew once there are so many times the observations
RANDOM, NEAR, PARENTS = 400, 320, 12  # candidates, those near the best trials, and how many of these
CLOSER = (0.1, 0.03, 0.01)  # how far the neighbours of the best candidates lie, round by round
PENDING = 32  # a running trial keeps others away until so many have begun after it: it may be a dead one


class FidelitySampler(BaseSampler):
    """Proposes what promises most after the last epoch, learning from `trial.report(value, step=epoch)`.

    Fits a Gaussian process over (configuration, epoch), see `fidelity.py`, to the values of complete, pruned and
    running trials alike, wherever they were stopped, and takes the candidate of the greatest expected improvement at
    ``max_epochs``. A configuration that failed counts as a bad one, unless another trial of it worked. Trials that
    have just begun are taken to end as the model expects, so that parallel workers get different proposals.
    Conditional spaces are learned from the trials. Works in any single-objective study, under `study.optimize` as
    under `study.ask` and `study.tell`.

    Args:
        max_epochs: the step at which a trial that is never stopped reports its last value, at least 1.
        seed: of every draw; the same study and seed give the same proposals.
        startup: trials with a value before the model is used; until then trials are random.
        choices: those that may be proposed of a parameter, where that is fewer than trials may have.
        prior: trials of another study of as many epochs, with values by epoch, whose greater or smaller values mean the
            same; they count towards ``startup``, and how far they hold here is learned.
    """

    def __init__(
        self,
        max_epochs: int,
        seed: int,
        *,
        startup: int = 10,
        choices: Mapping[str, Sequence[Any]] = MappingProxyType({}),
        prior: Sequence[FrozenTrial] = (),
    ) -> None:
        if max_epochs < 1:
            msg = f"max_epochs must be at least 1, got {max_epochs}; give the last step that a whole trial reports"
            raise ValueError(msg)
        self._max_epochs, self._startup, self._choices = max_epochs, startup, choices
        self._random = RandomSampler(seed=seed)
        self._rng = np.random.default_rng(seed)
        self._prior = [t for t in prior if t.state in {TrialState.COMPLETE, TrialState.PRUNED}]
        self._study = ""
        self._finished: dict[int, Curve | None] = {}
        self._tried: set[Params] = set()
        self._space: dict[str, tuple[int, BaseDistribution]] = {}
        self._fit: tuple[int, Encoding, np.ndarray] | None = None

    def reseed_rng(self) -> None:
        """Draw other numbers than a copy in another process."""
        self._random.reseed_rng()
        self._rng = np.random.default_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return every parameter that a trial was asked for, each with its latest range."""
        self._raise_error_if_multi_objective(study)
        if study.study_name != self._study:
            self._study, self._finished, self._tried, self._space, self._fit = study.study_name, {}, set(), {}, None
        for other in study.get_trials(deepcopy=False):
            if other.number == trial.number or other.number in self._finished:
                continue
            for name, distribution in other.distributions.items():
                if other.number >= self._space.get(name, (-1,))[0]:
                    self._space[name] = other.number, distribution
            self._tried.add(frozenset(other.params.items()))
            if other.state.is_finished():
                self._finished[other.number] = self._curve(study, other)
        return {name: d for name, (_, d) in sorted(self._space.items()) if not d.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the proposal, or nothing where this trial is to be random."""
        explores = self._rng.random() < EXPLORE
        begun = study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING))
        begun = [other for other in begun if other.number != trial.number]
        running = [other for other in begun if other.state == TrialState.RUNNING]
        curves = [c for c in (*self._finished.values(), *(self._curve(study, t) for t in begun)) if c is not None]
        curves += self._elsewhere(study, search_space)
        worked = [c for c in curves if c.worked]
        if not search_space or explores or len(worked) < max(self._startup, 1):
            return {}
        if len(worked) < len(curves):
            known = {frozenset(c.params.items()) for c in worked if not c.elsewhere}
            curves = [c for c in curves if c.worked or frozenset(c.params.items()) not in known]
        surrogate = self._surrogate(search_space, curves)
        pending = [surrogate.encoding.row(t.params) for t in running if t.number > trial.number - PENDING]
        return self._proposal(surrogate, np.array(pending), trial.system_attrs.get("fixed_params", {}))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a random value."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def _curve(self, study: Study, trial: FrozenTrial) -> Curve | None:
        """Return what a trial tells: of a failed one that it failed, None of one without a value as yet."""
        values: Mapping[int, float] = trial.intermediate_values
        if trial.state == TrialState.FAIL:
            values = {self._max_epochs: math.nan}
        elif trial.state == TrialState.COMPLETE and not values and trial.values:
            values = {self._max_epochs: trial.values[0]}
        if not values:
            return None
        return curve(trial.params, values, maximize=study.direction == StudyDirection.MAXIMIZE)

    def _elsewhere(self, study: Study, space: Mapping[str, BaseDistribution]) -> list[Curve]:
        """Return the prior curves; those of a choice that this study never offered are left out."""
        lists = {name: d.choices for name, d in space.items() if isinstance(d, CategoricalDistribution)}
        fit = [t for t in self._prior if all(t.params.get(name, c[0]) in c for name, c in lists.items())]
        return [replace(c, elsewhere=True) for c in (self._curve(study, t) for t in fit) if c is not None]

    def _surrogate(self, space: Mapping[str, BaseDistribution], curves: Sequence[Curve]) -> Surrogate:
        n = sum(len(c.epochs) for c in curves)
        if self._fit is not None and n < REFIT * self._fit[0] and self._fit[1].distributions == space:
            return Surrogate(self._fit[1], curves, self._max_epochs, self._rng, self._fit[2])
        encoding = Encoding(space)
        surrogate = Surrogate(encoding, curves, self._max_epochs, self._rng)
        self._fit = n, encoding, surrogate.process.theta
        return surrogate

    def _proposal(self, surrogate: Surrogate, pending: np.ndarray, fixed: Mapping[str, Any]) -> dict[str, Any]:
        rng, encoding, own = self._rng, surrogate.encoding, surrogate.own
        present = Presence(encoding, surrogate.rows[own])
        reached = surrogate.process.mean(surrogate.at_end(surrogate.rows))
        parents = surrogate.rows[np.argsort(-reached, kind="stable")[:PARENTS]]
        process, best_so_far = surrogate.process, reached[own].max() if own.any() else reached.max()
        if len(pending):  # what they are expected to reach counts as reached
            process = process.believing(surrogate.at_end(pending))
            best_so_far = max(best_so_far, process.mean(surrogate.at_end(pending)).max())

        def scored(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            rows = present(encoding.with_fixed(encoding.offered(rng, rows, self._choices), fixed))
            return rows, expected_improvement(*process.predict(surrogate.at_end(rows)), best_so_far)

        near = parents[rng.integers(len(parents), size=NEAR)]
        wide, close = encoding.mutated(rng, near[: NEAR // 2], 0.2), encoding.mutated(rng, near[NEAR // 2 :], 0.05)
        rows, gain = scored(np.concatenate([encoding.random(rng, RANDOM), wide, close]))
        for width in CLOSER:
            best = np.repeat(rows[np.argsort(-gain, kind="stable")[:5]], 20, axis=0)
            again, more = scored(encoding.mutated(rng, best, width))
            rows, gain = np.concatenate([rows, again]), np.concatenate([gain, more])
        proposals = (encoding.params(rows[i]) for i in np.argsort(-gain, kind="stable"))
        return next((p for p in proposals if frozenset(p.items()) not in self._tried), {})


class Grid(samplers.GridSampler):
    """Optuna's grid, which under ask and tell would end the search with an error after its last point."""

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Do nothing: the search knows its end."""


def sampler(spec: StudySpec, done: int, prior: Mapping[str, Records] = MappingProxyType({})) -> BaseSampler:
    """Return the sampler that a study file names.

    Args:
        spec: the study file.
        done: trials that the study has; part of the seed, so that a search that goes on does not draw the same points
            again.
        prior: what the study keeps of other ones, see `prior`; fidelity alone learns from it.

    Raises:
        SpecError: the sampler cannot take the space.
    """
    _check_space(spec)
    seed, startup = derive(spec.seed, "sampler", done) % 2**32, spec.sampler.startup
    with warnings.catch_warnings():  # Optuna still calls some of them, and `group`, experimental
        warnings.simplefilter("ignore", ExperimentalWarning)
        match spec.sampler.name:
            case "fidelity":
                choices = {d.name: d.choices for d in spec.space.dimensions if d.choices}
                others = [t for kept in prior.values() for t in trials(kept, spec.space)]
                return FidelitySampler(spec.budget.epochs, seed, startup=startup, choices=choices, prior=others)
            case "tpe":  # `group` is what conditional spaces need
                return samplers.TPESampler(seed=seed, n_startup_trials=startup, multivariate=True, group=True)
            case "gp":
                return samplers.GPSampler(seed=seed, n_startup_trials=startup, warn_independent_sampling=False)
            case "cmaes":
                return samplers.CmaEsSampler(seed=seed, n_startup_trials=startup, warn_independent_sampling=False)
            case "qmc":  # the study's own seed: a search that goes on takes the sequence up where it ended
                return samplers.QMCSampler(
                    seed=derive(spec.seed, "sampler") % 2**32,
                    scramble=True,
                    warn_independent_sampling=False,
                    warn_asynchronous_seeding=False,
                )
            case "grid":
                return Grid({d.name: d.grid(spec.sampler.points) for d in spec.space.dimensions}, seed=seed)
            case "nsga2":
                return samplers.NSGAIISampler(seed=seed)
            case _:
                return RandomSampler(seed=seed)


def _check_space(spec: StudySpec) -> None:
    """Refuse a space that the sampler would search badly or not at all."""
    name, space = spec.sampler.name, spec.space
    if name in {"cmaes", "grid"} and space.conditional:
        msg = (
            f"{name} takes a space in which every dimension always applies, got {space.conditional[0]}, which depends "
            "on another one; choose fidelity or tpe, or fix it"
        )
        raise spec.error(msg, "sampler", "name")
    if name == "cmaes" and all(d.choices for d in space.dimensions):
        msg = "cmaes needs at least one range, got choices only; choose fidelity, tpe or grid"
        raise spec.error(msg, "sampler", "name")
