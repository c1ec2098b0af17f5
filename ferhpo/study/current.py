"""A study whose space changed between two runs, as a sampler sees it that goes by what a trial drew from.

Optuna's samplers take the first range that a parameter had, or leave out one whose range changed, for good. So past
trials are shown to them as if they had been drawn from the study file as it is now. The stored ones stay.
"""

import copy
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from ferhpo.errors import UsageError
from ferhpo.space.config import RUN_SETTINGS, SETTINGS, TrialConfig
from ferhpo.space.space import Space, applies
from ferhpo.study.view import Around, view

DEFAULTS = TrialConfig().params()  # of settings that an older ferhpo did not have
SAMPLER_KEYS = (
    "cma:",
    "tpe:",
    "gp:",
)  # what samplers keep with a trial, in coordinates of its own ranges


def as_now(trial: FrozenTrial, space: Space, ranges: Mapping[str, BaseDistribution]) -> FrozenTrial | None:
    """Return a trial as one that drew from a space, itself where it did, None where a value lies outside a range.

    A range that was one fixed value when the trial ran holds that value, unless it was off; what the space does not
    search is left out.

    Args:
        trial: a study's; one without a whole configuration is returned as it is.
        space: the study file's.
        ranges: what Optuna stores of its ranges.
    """
    if "config" not in trial.user_attrs:
        return trial
    settings = DEFAULTS | trial.user_attrs["config"]
    names = [d.name for d in space.dimensions if d.choices and d.name in trial.params]
    params = {name: trial.params[name] for name in names}
    drawn_from = {name: trial.distributions[name] for name in names}
    try:
        for d in space.dimensions:
            if not d.choices and settings[d.name] is not None and applies(d, settings):
                params[d.name], drawn_from[d.name] = d.check(settings[d.name]), ranges[d.name]
    except UsageError:
        return None
    if params == trial.params and drawn_from == trial.distributions:
        return trial
    found = copy.copy(trial)
    found.params, found.distributions = params, drawn_from
    found.system_attrs = {key: kept for key, kept in trial.system_attrs.items() if not key.startswith(SAMPLER_KEYS)}
    return found


def filled(space: Space, trial: FrozenTrial) -> Mapping[str, Any]:
    """Return a trial's parameters, and the value of every setting that a space searches and the trial had fixed.

    A value outside a range is one too: whoever goes by distances can tell how far it lies.

    Args:
        space: the study file's.
        trial: a study's; one without a whole configuration had nothing else that is known.
    """
    if "config" not in trial.user_attrs:
        return trial.params
    settings = DEFAULTS | trial.user_attrs["config"]
    fixed = [d for d in space.dimensions if d.name not in trial.params and applies(d, settings)]
    values = {d.name: settings[d.name] for d in fixed if not d.choices or settings[d.name] in d.choices}
    return trial.params | {name: value for name, value in values.items() if value is not None}


def unsearched(space: Space) -> dict[str, Any]:
    """Return every setting that a space does not search, with its value."""
    varied = {*RUN_SETTINGS, *(d.name for d in space.dimensions)}
    return {name: value for name, value in space.default_config().params().items() if name not in varied}


def trained_with(trial: FrozenTrial, fixed: Mapping[str, Any]) -> bool:
    """Tell whether a trial was trained with settings, as far as they mattered to it.

    Args:
        trial: a study's; one without a whole configuration will have them.
        fixed: the settings, as of `unsearched`.
    """
    if "config" not in trial.user_attrs:
        return True
    had = DEFAULTS | trial.user_attrs["config"]
    return all(had[name] == value or not SETTINGS[name].matters(had) for name, value in fixed.items())


class Current(Around):
    """Another sampler, which sees past trials as ones of the space as it is now, see `as_now`.

    Args:
        inner: what decides.
        space: the study file's.
    """

    def __init__(self, inner: BaseSampler, space: Space) -> None:
        super().__init__(inner)
        self._space = space
        self._ranges = {d.name: d.distribution() for d in space.dimensions if not d.choices}
        self._ended: dict[int, FrozenTrial | None] = {}

    def seen(self, study: optuna.Study) -> optuna.Study:
        """Return the study with these trials."""
        return view(study, self._as_now)

    def _as_now(self, trial: FrozenTrial) -> FrozenTrial | None:
        if not trial.state.is_finished():
            return as_now(trial, self._space, self._ranges)
        if trial.number not in self._ended:
            self._ended[trial.number] = as_now(trial, self._space, self._ranges)
        return self._ended[trial.number]
