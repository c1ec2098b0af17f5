"""What to try next: ferhpo's own sampler, which learns from every epoch of every trial."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ferhpo._threads import single_thread
from ferhpo.search.surrogate.encoding import Encoding, Tried
from ferhpo.search.surrogate.fidelity import Curve, Surrogate, curve
from ferhpo.search.surrogate.proposal import allowing, near, proposed
from ferhpo.search.surrogate.scalar import directions, scalarised
from ferhpo.study.attrs import VOID
from ferhpo.study.queue import QUEUED, settings

Key = frozenset[tuple[str, float]]
Points = Mapping[int, Sequence[float]]  # the values of all objectives, by epoch
EXPLORE = 0.15  # share of random trials, at least, which never ends: under a scheduler most of them cost little
GUIDED = 0.5  # share of the trials before the model is used that lie near `around`
REFIT = 1.1  # the model's lengths are fitted anew once there are so many times the observations
SMALL = 1000  # points of a space in which no trial repeats another one while there are others
PENDING = 32  # a running trial keeps others away until so many have begun after it: it may be a dead one


class FidelitySampler(BaseSampler):
    """Proposes what promises most after the last epoch, learning from `trial.report(value, step=epoch)`.

    Fits a Gaussian process over (configuration, epoch), see `fidelity.py`, to the values of complete, pruned and
    running trials alike, wherever they were stopped, and takes the candidate of the greatest expected improvement at
    ``max_epochs`` or the best of a few random ones, see `proposal.py`. A configuration that failed, was pruned before
    it reported anything, or broke a constraint counts as a bad one, unless another trial of it worked. Trials that have
    just begun are taken to end as the model expects, so that parallel workers get different proposals. While few trials
    are complete, more of them are random. Conditional spaces are learned from the trials; in one of few configurations
    none is tried twice while there are others. Works under `study.optimize` as under `study.ask` and `study.tell`. In a
    study with several objectives, which Optuna lets report nothing, it learns from the final values, or from what
    ``points`` knows, and each proposal improves them in one of some ten directions, see `scalar.py`.

    Args:
        max_epochs: the step at which a trial that is never stopped reports its last value, at least 1.
        seed: of every draw; the same study and seed give the same proposals. Who goes on with a study draws others than
            who began it, so that with one seed no random trial comes again.
        startup: trials with a value before the model is used; until then trials are random, or near ``around``.
        choices: those that may be proposed of a parameter, where that is fewer than trials may have.
        prior: trials of another study of as many epochs, with values by epoch, whose greater or smaller values mean the
            same; they count towards ``startup``, and how far they hold here is learned.
        points: returns a trial's values of all objectives by epoch, where the study has several.
        names: parameters to propose, where earlier trials of the study had others too; None proposes whatever they had.
        had: returns a trial's parameters, where it had more than it was asked for: what was fixed then and is not now.
        same: tells whether a trial had the settings that are fixed now: one that had others was another configuration,
            and keeps none from being tried. None takes all of them for the same.
        around: a configuration that somebody thinks good. About every other one of the trials before the model is
            used is a neighbour of it (Mallik et al. 2023, PriorBand, arXiv 2306.12370).
    """

    def __init__(
        self,
        max_epochs: int,
        seed: int,
        *,
        startup: int = 10,
        choices: Mapping[str, Sequence[Any]] = MappingProxyType({}),
        prior: Sequence[FrozenTrial] = (),
        points: Callable[[FrozenTrial], Points] | None = None,
        names: Sequence[str] | None = None,
        had: Callable[[FrozenTrial], Mapping[str, Any]] = attrgetter("params"),
        same: Callable[[FrozenTrial], bool] | None = None,
        around: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        import scipy.optimize  # noqa: F401 - here, so that the first ask that fits the model need not wait for it

        if max_epochs < 1:
            msg = f"max_epochs must be at least 1, got {max_epochs}; give the last step that a whole trial reports"
            raise ValueError(msg)
        self._max_epochs, self._startup, self._choices, self._points = max_epochs, startup, dict(choices), points
        self._names, self._had, self._same, self._around = names, had, same, dict(around)
        self._random = RandomSampler(seed=seed)
        self._rng = np.random.default_rng(seed)
        self._begun = False
        told = [t for t in prior if t.state == TrialState.COMPLETE or t.intermediate_values]
        self._prior = [t for t in told if t.state in {TrialState.COMPLETE, TrialState.PRUNED}]
        self._study: tuple[Any, ...] = ()  # whose trials the following are of
        self._finished: dict[int, Curve | None] = {}
        self._tried: set[Key] = set()
        self._space: dict[str, tuple[int, BaseDistribution]] = {}
        self._mixed: set[str] = set()  # parameters of several kinds: another study's trials were added
        self._fits: dict[tuple[float, ...], tuple[int, Encoding, np.ndarray]] = {}  # by direction
        self._exhausted: Mapping[str, BaseDistribution] = {}  # a small space of which no point was left

    def reseed_rng(self) -> None:
        """Draw other numbers than a copy in another process."""
        self._random.reseed_rng()
        self._rng = np.random.default_rng()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy of the sampler, in another process too, begins with: not the database of the study."""
        return {**self.__dict__, "_study": ()}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return every parameter that a trial was asked for and may be now, each with its latest range."""
        if (which := _identity(study)) != self._study:
            self._study, self._finished, self._tried, self._space, self._fits = which, {}, set(), {}, {}
            self._mixed, self._exhausted = set(), {}
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        self._begin(others)
        for other in others:
            number, drawn_from = other.number, other.distributions
            if number in self._finished:
                continue
            for name, distribution in drawn_from.items():
                known = self._space.setdefault(name, (number, distribution))
                if _kind(known[1]) != _kind(distribution):
                    self._mixed.add(name)  # Optuna takes no value of another kind than the study's, which nobody knows
                if number >= known[0]:
                    self._space[name] = number, distribution
            key = _key(other.params, drawn_from)
            if self._fixed_alike(other):
                self._tried.add(key)
            if other.state.is_finished():
                self._finished[number] = self._curve(study, other, key)
        names = self._space if self._names is None else self._names
        return {
            name: d
            for name, (_, d) in sorted(self._space.items())
            if name in names and name not in self._mixed and not d.single()
        }

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the proposal, or nothing where this trial is to be random."""
        draw = self._rng.random()
        begun = study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING))
        begun = [other for other in begun if other.number != trial.number]
        running = [other for other in begun if other.state == TrialState.RUNNING]
        curves = [c for c in (*self._finished.values(), *(self._curve(study, t) for t in begun)) if c is not None]
        curves += self._elsewhere(study, search_space)
        worked = [c for c in curves if c.worked]
        told = len(worked) + sum(c.infeasible for c in curves)
        if not search_space:
            return {}
        early = not worked or told < self._startup
        if early or draw < self._explored(study, told):
            encoding = Encoding(search_space)
            guided = early and self._around and draw < GUIDED
            return self._untried(study, trial, encoding, self._neighbours(study, trial, encoding) if guided else ())
        if len(worked) < len(curves):
            known = {c.key for c in worked if not c.elsewhere}
            curves = [c for c in curves if c.worked or c.key not in known]
        weights = self._direction(len(study.directions))
        if weights:
            values = scalarised([c.values for c in curves], np.array(weights))
            curves = [replace(c, values=v) for c, v in zip(curves, values, strict=True)]
        with single_thread():
            surrogate = self._surrogate(search_space, curves, weights)
            encoding, fixed = surrogate.encoding, settings(trial)
            pending = np.array([encoding.row(self._had(t)) for t in running if t.number > trial.number - PENDING])
            allowed = allowing(encoding, surrogate.rows[surrogate.own], self._choices, fixed, self._rng)
            rows = proposed(surrogate, pending, allowed, self._rng)
        return self._untried(study, trial, encoding, rows)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a random value."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def _begin(self, others: Sequence[FrozenTrial]) -> None:
        """Before the first draw, leave the numbers that another process may have drawn trials with that are there."""
        if self._begun:
            return
        self._begun = True
        drawn = sum(QUEUED not in other.system_attrs for other in others)
        if drawn:
            self._rng = np.random.default_rng([int(self._rng.integers(2**32)), drawn])
            self._random = RandomSampler(seed=int(self._rng.integers(2**32)))

    def _untried(
        self, study: Study, trial: FrozenTrial, encoding: Encoding, rows: Iterable[np.ndarray] = ()
    ) -> dict[str, Any]:
        """Return the first proposal that no trial has had, in a small space else any such; nothing if there is none."""
        if encoding.points > SMALL:
            proposals = map(encoding.params, rows)
            return next((p for p in proposals if _key(p, encoding.distributions) not in self._tried), {})
        if encoding.distributions == self._exhausted:
            return {}
        others, seen = self._seen(study, trial, encoding)
        tried = Tried(seen, [_whole(t) for t in others], [self._fixed_alike(t) for t in others])
        fixed = settings(trial)
        every = allowing(encoding, seen, self._choices, fixed, self._rng)(encoding.every(self._rng))
        found = next((encoding.params(row) for row in (*rows, *every) if not tried(row)), {})
        if not (found or fixed):
            self._exhausted = encoding.distributions
        return found

    def _neighbours(self, study: Study, trial: FrozenTrial, encoding: Encoding) -> np.ndarray:
        """Return a few rows near the configuration that is thought good."""
        allowed = allowing(encoding, self._seen(study, trial, encoding)[1], self._choices, settings(trial), self._rng)
        return allowed(near(encoding, encoding.row(self._around), self._rng))

    def _seen(self, study: Study, trial: FrozenTrial, encoding: Encoding) -> tuple[list[FrozenTrial], np.ndarray]:
        """Return the other trials that have parameters, and their rows."""
        others = [t for t in study.get_trials(deepcopy=False) if t.params and t.number != trial.number]
        return others, np.array([encoding.row(self._had(t)) for t in others]).reshape(-1, len(encoding.names))

    def _fixed_alike(self, trial: FrozenTrial) -> bool:
        return self._same is None or self._same(trial)

    def _explored(self, study: Study, told: int) -> float:
        """Return the share of random trials: large while few of those that tell something have seen the end."""
        whole = sum(t.state == TrialState.COMPLETE for t in (*study.get_trials(deepcopy=False), *self._prior))
        return max(EXPLORE, min(1 / (1 + whole), 2 * self._startup / told))

    def _curve(self, study: Study, trial: FrozenTrial, key: Key | None = None) -> Curve | None:
        """Return a trial's curve: NaN if it failed, broke a constraint, or was pruned before it had a value.

        None if it is unfinished and has no value yet, failed before it had parameters, or was queued again. Values of
        several objectives stand in rows, each signed so that greater is better.
        """
        signs = [1.0 if d == StudyDirection.MAXIMIZE else -1.0 for d in study.directions]
        one, infeasible = len(signs) == 1, False
        if trial.system_attrs:  # where alone constraints are; looking for them takes as long as all the rest
            infeasible = any(excess > 0 for excess in trial.constraints.values())
        values: Mapping[int, Any] = trial.intermediate_values if one else self._points(trial) if self._points else {}
        if trial.state == TrialState.FAIL and (not trial.params or trial.user_attrs.get(VOID)):
            return None
        unreported = trial.state == TrialState.PRUNED and not values and trial.params  # as one says "this is invalid"
        if trial.state == TrialState.FAIL or infeasible or unreported:
            values = {self._max_epochs: math.nan if one else [math.nan] * len(signs)}
        elif trial.state == TrialState.COMPLETE and not values and trial.values:
            values = {self._max_epochs: trial.values[0] if one else trial.values}
        elif trial.state == TrialState.COMPLETE and one and trial.values:  # an objective may return another value
            values = {**values, max(values): trial.values[0]}
        if not values:
            return None
        if one:
            found = curve(self._had(trial), values, maximize=signs[0] > 0)
        else:
            found = curve(self._had(trial), {e: np.multiply(v, signs) for e, v in values.items()}, maximize=True)
        return replace(found, infeasible=infeasible, key=key or _key(trial.params, trial.distributions))

    def _direction(self, objectives: int) -> tuple[float, ...]:
        """Return this proposal's weights of the objectives, none for one."""
        if objectives == 1:
            return ()
        every = directions(objectives)
        return tuple(every[self._rng.integers(len(every))].tolist())

    def _elsewhere(self, study: Study, space: Mapping[str, BaseDistribution]) -> list[Curve]:
        """Return the prior curves; those of a choice that this study never offered are left out."""
        lists = {name: d.choices for name, d in space.items() if isinstance(d, CategoricalDistribution)}
        fit = [
            t
            for t in self._prior
            if all(t.params.get(name, c[0]) in c for name, c in lists.items())
            and not any(isinstance(t.distributions.get(name), CategoricalDistribution) for name in space.keys() - lists)
        ]
        return [replace(c, elsewhere=True) for c in (self._curve(study, t) for t in fit) if c is not None]

    def _surrogate(
        self, space: Mapping[str, BaseDistribution], curves: Sequence[Curve], weights: tuple[float, ...]
    ) -> Surrogate:
        n, fit = sum(len(c.epochs) for c in curves), self._fits.get(weights)
        if fit is not None and n < REFIT * fit[0] and fit[1].distributions == space:
            return Surrogate(fit[1], curves, self._max_epochs, self._rng, fit[2])
        encoding = Encoding(space)
        surrogate = Surrogate(encoding, curves, self._max_epochs, self._rng)
        self._fits[weights] = n, encoding, surrogate.process.theta
        return surrogate


def _kind(distribution: BaseDistribution) -> tuple[type, bool]:
    """Return what Optuna asks all ranges of a parameter in a study to have in common."""
    return type(distribution), getattr(distribution, "log", False)


def _identity(study: Study) -> tuple[Any, ...]:
    """Return what tells a study from others, one of the same name in another or a deleted database too."""
    storage: Any = study._storage  # noqa: SLF001 - there is no public way to tell
    while (inner := getattr(storage, "_storage", None)) is not None:  # `study.view` puts a new one around it every time
        storage = inner
    return storage, study._study_id, study.study_name  # noqa: SLF001


def _key(params: Mapping[str, Any], drawn_from: Mapping[str, BaseDistribution]) -> Key:
    """Return what tells one configuration from another: of a choice, which may be a list, its place.

    What cannot vary is left out, as it is of a proposal, and so is what the logarithm of a range rounds.
    """
    varied = ((name, d) for name, d in drawn_from.items() if name in params and not d.single())
    return frozenset((name, float(f"{d.to_internal_repr(params[name]):.9g}")) for name, d in varied)


def _whole(trial: FrozenTrial) -> bool:
    """Tell whether a trial was surely asked for all of its parameters: it has a value, or ferhpo began it."""
    return trial.state == TrialState.COMPLETE or bool(trial.intermediate_values) or "config" in trial.user_attrs
