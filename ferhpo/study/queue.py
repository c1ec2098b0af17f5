"""Trials that wait to be run: what a user asked for, and what no longer fits the study file."""

from collections.abc import Sequence
from contextlib import suppress

import optuna
from optuna.trial import FrozenTrial, TrialState

from ferhpo.errors import UsageError
from ferhpo.space.space import Space
from ferhpo.space.tries import Try

VOID = "interrupted"  # attribute of a trial that does not count: it could not go on, so its settings were queued again
DEFAULT = "default"  # attribute of the trial that has the defaults of the space
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


def misfits(study: optuna.Study, space: Space, tries: Sequence[Try]) -> list[FrozenTrial]:
    """Return the queued trials, never begun, that are no longer what is asked for.

    They have a value that the space no longer allows, or are the defaults, or a try, as another study file had them;
    see `again`.
    """
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    queued = [t for t in waiting if "config" not in t.user_attrs]
    return [t for t in queued if not _fits(t, space) or settings(t) != _meant(t, space, tries)]


def _meant(trial: FrozenTrial, space: Space, tries: Sequence[Try]) -> dict[str, object]:
    """Return what a queued trial would be queued with now."""
    if trial.user_attrs.get(DEFAULT):
        return space.defaults()
    if "requeued_from" in trial.user_attrs:  # it had its settings when it began
        return settings(trial)
    same = [one for one in (*tries, *again([trial], space)) if one.given == trial.user_attrs.get(TRY)]
    return dict(same[0].params) if same else settings(trial)


def again(trials: Sequence[FrozenTrial], space: Space) -> list[Try]:
    """Return the tries among some trials with the defaults of a space; one that is no point of it is left out."""
    found = []
    for given in (t.user_attrs[TRY] for t in trials if TRY in t.user_attrs):
        with suppress(UsageError):
            found.append(Try(given=given, params=space.point(given)))
    return found


def settings(trial: FrozenTrial) -> dict[str, object]:
    """Return what a trial runs with, known before it begins where it was queued."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def _fits(trial: FrozenTrial, space: Space) -> bool:
    asked = settings(trial)
    try:
        for dimension in space.dimensions:
            if dimension.name in asked:
                dimension.check(asked[dimension.name])
    except UsageError:
        return False
    return True
