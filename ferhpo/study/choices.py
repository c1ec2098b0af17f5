"""Choices that changed between two runs of a study: the list in the database only grows.

Optuna stores a choice as its place in a list, and takes one list for a parameter and study. So the database holds every
choice that was ever offered, in the order in which they came, and what the study file offers now is drawn from that
list. Samplers, importances and the dashboard see one parameter with one list.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from ferhpo.space.space import Space
from ferhpo.study.trial import counts
from ferhpo.study.view import Around

Choices = Mapping[str, tuple[Any, ...]]


def ever_offered(space: Space, stored: Mapping[str, BaseDistribution]) -> Choices:
    """Return every choice that was or is offered, of parameters whose stored list is not just what the space has.

    Args:
        space: the study file's.
        stored: what the study's trials drew from, by parameter.
    """
    grown = {}
    for dimension in space.dimensions:
        drawn_from = stored.get(dimension.name)
        if isinstance(drawn_from, CategoricalDistribution) and drawn_from.choices != dimension.choices:
            new = (choice for choice in dimension.choices if choice not in drawn_from.choices)
            grown[dimension.name] = (*drawn_from.choices, *new)
    return grown


def outside(space: Space, trials: Sequence[FrozenTrial]) -> int:
    """Count the ended trials with a choice that the space does not offer, of those that count towards ``--trials``."""
    choices = {d.name: d.choices for d in space.dimensions if d.choices}
    counted = (t for t in trials if counts(t.user_attrs, ended=t.state.is_finished()))
    return sum(any(name in t.params and t.params[name] not in choices[name] for name in choices) for t in counted)


class Offered(Around):
    """Another sampler, whose proposals keep to the choices that are offered now.

    Args:
        inner: learns from every trial.
        choices: those offered now, by parameter; another one that is proposed gives way to one of these at random.
        grown: the whole lists.
        seed: of these draws.
    """

    def __init__(self, inner: BaseSampler, choices: Choices, grown: Choices, seed: int) -> None:
        super().__init__(inner)
        self._choices, self._grown, self._rng = choices, grown, np.random.default_rng(seed)

    def reseed_rng(self) -> None:
        """Draw other numbers than a copy in another process."""
        super().reseed_rng()
        self._rng = np.random.default_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what the sampler proposes together, with the whole lists, which it may have seen in no trial."""
        found = super().infer_relative_search_space(study, trial)
        return {n: CategoricalDistribution(self._grown[n]) if n in self._grown else d for n, d in found.items()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the sampler's proposal."""
        found = super().sample_relative(study, trial, search_space)
        return {name: self._offered(name, value) for name, value in found.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the sampler's value of one parameter."""
        return self._offered(param_name, super().sample_independent(study, trial, param_name, param_distribution))

    def _offered(self, name: str, value: Any) -> Any:
        choices = self._choices.get(name, (value,))
        return value if value in choices else choices[self._rng.integers(len(choices))]


def keeping(sampler: BaseSampler, space: Space, grown: Choices, seed: int) -> optuna.samplers.BaseSampler:
    """Return a sampler that keeps to the space's choices; the sampler itself where no list has grown."""
    choices = {d.name: d.choices for d in space.dimensions if d.name in grown}
    return Offered(sampler, choices, grown, seed) if choices else sampler
