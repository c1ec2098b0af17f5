"""A study as those see it who learn from configurations: without trials whose values are not of their parameters alone.

A repeat is none of the search's trials, and a copy had another trial's settings for a while.
"""

import copy
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from ferhpo.study.copies import is_copy
from ferhpo.study.repeats import is_repeat


class _Without:
    """A storage without repeats and copies."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_all_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
        """Return the other trials."""
        return [t for t in self._storage.get_all_trials(*args, **kwargs) if _is_own(t)]


def searched(study: optuna.Study) -> optuna.Study:
    """Return the same study without its repeats and copies, for whatever reads it as Optuna does."""
    view = copy.copy(study)
    view._storage = _Without(study._storage)  # noqa: SLF001 # pyright: ignore[reportAttributeAccessIssue]
    return view


class Searched(BaseSampler):
    """Another sampler, which never sees a repeat or a copy.

    Args:
        inner: what decides.
    """

    def __init__(self, inner: BaseSampler) -> None:
        self._inner = inner

    def reseed_rng(self) -> None:
        """Draw other numbers than a copy in another process."""
        self._inner.reseed_rng()

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what the sampler proposes together."""
        return self._inner.infer_relative_search_space(searched(study), trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the sampler's proposal."""
        return self._inner.sample_relative(searched(study), trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the sampler's value of one parameter."""
        return self._inner.sample_independent(searched(study), trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Tell the sampler."""
        self._inner.before_trial(searched(study), trial)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Tell the sampler, unless the trial is one of them."""
        if _is_own(trial):
            self._inner.after_trial(searched(study), trial, state, values)


def _is_own(trial: FrozenTrial) -> bool:
    return not is_repeat(trial) and not is_copy(trial)
