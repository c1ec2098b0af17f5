"""A study as samplers see it: without repeats and copies.

A repeat is a known configuration with another seed; a copy was trained under another trial's settings for a while.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from ferhpo.study.copies import is_copy
from ferhpo.study.repeats import is_repeat

Seen = Callable[[FrozenTrial], FrozenTrial | None]


class _View:
    """A storage whose trials are seen in another way."""

    def __init__(self, storage: Any, seen: Seen) -> None:
        self._storage, self._seen = storage, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_all_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
        """Return the trials as they are seen."""
        every = map(self._seen, self._storage.get_all_trials(*args, **kwargs))
        return [trial for trial in every if trial is not None]


def view(study: optuna.Study, seen: Seen) -> optuna.Study:
    """Return the same study with its trials seen in another way, for whatever reads it as Optuna does.

    Args:
        study: stays as it is.
        seen: returns what is shown of a trial, None to leave it out.
    """
    found = copy.copy(study)
    found._storage = _View(study._storage, seen)  # noqa: SLF001 # pyright: ignore[reportAttributeAccessIssue]
    return found


def searched(study: optuna.Study) -> optuna.Study:
    """Return the same study without its repeats and copies."""
    return view(study, lambda trial: trial if _is_own(trial) else None)


class Around(BaseSampler):
    """Another sampler, which asks the study as `seen` returns it.

    Args:
        inner: what decides.
    """

    def __init__(self, inner: BaseSampler) -> None:
        self._inner = inner

    def seen(self, study: optuna.Study) -> optuna.Study:
        """Return what the sampler sees of a study: all of it."""
        return study

    def reseed_rng(self) -> None:
        """Draw other numbers than a copy in another process."""
        self._inner.reseed_rng()

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what the sampler proposes together."""
        return self._inner.infer_relative_search_space(self.seen(study), trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the sampler's proposal."""
        return self._inner.sample_relative(self.seen(study), trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the sampler's value of one parameter."""
        return self._inner.sample_independent(self.seen(study), trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Tell the sampler."""
        self._inner.before_trial(self.seen(study), trial)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Tell the sampler."""
        self._inner.after_trial(self.seen(study), trial, state, values)


class Searched(Around):
    """Another sampler, which never sees a repeat or a copy."""

    def seen(self, study: optuna.Study) -> optuna.Study:
        """Return the study without them."""
        return searched(study)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Tell the sampler, unless the trial is one of them."""
        if _is_own(trial):
            super().after_trial(study, trial, state, values)


def _is_own(trial: FrozenTrial) -> bool:
    return not is_repeat(trial) and not is_copy(trial)
