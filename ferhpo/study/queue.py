"""Trials that wait to be run: what a user asked for, and what no longer fits the study file."""

from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from ferhpo.errors import UsageError
from ferhpo.space.space import Space
from ferhpo.space.tries import Try

VOID = "interrupted"  # attribute of a trial that does not count: it could not go on, so its settings were queued again
TRY = "try"  # attribute of a trial that a user asked for: what was written


def queue_tries(study: optuna.Study, tries: Sequence[Try]) -> None:
    """Queue each try that no run queued before, unless a trial has its settings anyway."""
    trials = [t for t in study.get_trials(deepcopy=False) if not t.user_attrs.get(VOID)]
    given = [t.user_attrs[TRY] for t in trials if TRY in t.user_attrs]
    there = [settings(t) for t in trials]
    for one in tries:
        if one.given not in given and one.params not in there:
            study.enqueue_trial(dict(one.params), user_attrs={TRY: dict(one.given)})
            given.append(one.given)
            there.append(dict(one.params))


def misfits(study: optuna.Study, space: Space) -> list[int]:
    """Return the queued trials, never begun, with a value that the space no longer allows."""
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    return [t.number for t in waiting if "config" not in t.user_attrs and not _fits(t, space)]


def settings(trial: FrozenTrial) -> dict[str, object]:
    """Return what a trial runs with, known before it begins where it was queued."""
    return trial.system_attrs.get("fixed_params", trial.params)


def _fits(trial: FrozenTrial, space: Space) -> bool:
    asked = settings(trial)
    try:
        for dimension in space.dimensions:
            if dimension.name in asked:
                dimension.check(asked[dimension.name])
    except UsageError:
        return False
    return True
