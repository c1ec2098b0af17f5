"""Copies: trials that take another one's training over after some epochs, with other settings from there on.

A copy is a trial of the study's database with the attributes `COPIED_FROM` and `COPIED_AT`. It counts, and may be best;
but its value belongs to no one configuration, so nobody who learns from configurations sees it.
"""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from ferhpo.study.attrs import COPIED_AT, COPIED_FROM, COSTS


def is_copy(trial: FrozenTrial) -> bool:
    """Tell whether a trial took another one's training over."""
    return COPIED_FROM in trial.user_attrs


def copy_of(
    source: FrozenTrial, epoch: int, params: Mapping[str, Any], drawn_from: Mapping[str, BaseDistribution], config: Any
) -> FrozenTrial:
    """Return a trial that waits to go on from another one's epoch.

    Args:
        source: the other one.
        epoch: epochs behind it.
        params: those that are another value from here on.
        drawn_from: their ranges as they are now.
        config: every setting, by name.
    """
    costs = {COSTS: source.user_attrs[COSTS]} if COSTS in source.user_attrs else {}  # the same net: measured once
    return optuna.trial.create_trial(
        state=TrialState.WAITING,
        params={**source.params, **params},
        distributions={**source.distributions, **drawn_from},
        user_attrs={COPIED_FROM: source.number, COPIED_AT: epoch, "config": config, **costs},
        intermediate_values={e: value for e, value in source.intermediate_values.items() if e <= epoch},
    )
