"""Trials that wait to be run: what a user asked for, and what no longer fits the study file."""

from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress

import optuna
from optuna.trial import FrozenTrial, TrialState

from ferhpo.errors import UsageError
from ferhpo.space.space import Space
from ferhpo.space.tries import Try
from ferhpo.study.attrs import DEFAULT, REQUEUED_FROM, TRY, VOID
from ferhpo.study.current import filled, trained_with, unsearched
from ferhpo.study.repeats import is_repeat

QUEUED = "fixed_params"  # Optuna's attribute of a trial: settings that it was queued with


def refresh(study: optuna.Study, space: Space, tries: Sequence[Try], end: Callable[[int], None]) -> None:
    """Queue what is to run before anything is sampled, and end queued trials that the study file has outdated.

    In this order: killed in between, the next run finds both, and nothing is lost or queued twice.

    Args:
        study: takes the trials.
        space: the study file's.
        tries: what the user asks for.
        end: ends a trial as one that does not count.
    """
    stale = {t.number: t for t in misfits(study, space, tries)}
    kept = [t for t in _kept(study, stale) if not is_repeat(t)]
    outdated, there = (any(t.user_attrs.get(DEFAULT) for t in some) for some in (stale.values(), kept))
    if not kept or (outdated and not there):
        study.enqueue_trial(space.defaults(), user_attrs={DEFAULT: True})
    queue_tries(study, space, (*tries, *again(list(stale.values()), space)), stale)
    for number in stale:
        end(number)


def queue_tries(study: optuna.Study, space: Space, tries: Sequence[Try], stale: Container[int] = ()) -> None:
    """Queue each try that no run queued before, unless a trial has its whole configuration anyway.

    Args:
        study: takes the trials.
        space: the study file's.
        tries: what the user asks for.
        stale: numbers of queued trials that are about to end.
    """
    trials = _kept(study, stale)
    given = [t.user_attrs[TRY] for t in trials if TRY in t.user_attrs]
    fixed = unsearched(space)
    there = [point for t in trials if (point := point_of(t, space, fixed)) is not None]
    for one in tries:
        if one.given not in given and one.params not in there:
            study.enqueue_trial(dict(one.params), user_attrs={TRY: dict(one.given)})
            given.append(one.given)
            there.append(dict(one.params))


def _kept(study: optuna.Study, stale: Container[int]) -> list[FrozenTrial]:
    """Return the trials that were not queued again and are not about to be."""
    return [t for t in study.get_trials(deepcopy=False) if not t.user_attrs.get(VOID) and t.number not in stale]


def misfits(study: optuna.Study, space: Space, tries: Sequence[Try]) -> list[FrozenTrial]:
    """Return the trials without a configuration that are no longer what is asked for.

    They were queued and never begun, or a search was killed while it chose their settings. They have a value that the
    space no longer allows, or are the defaults, or a try, as another study file had them; see `again`.
    """
    states = (TrialState.WAITING, TrialState.RUNNING)
    unbegun = [t for t in study.get_trials(deepcopy=False, states=states) if "config" not in t.user_attrs]
    return [t for t in unbegun if not fits(t, space) or settings(t) != _meant(t, space, tries)]


def _meant(trial: FrozenTrial, space: Space, tries: Sequence[Try]) -> dict[str, object]:
    """Return what a queued trial would be queued with now."""
    if trial.user_attrs.get(DEFAULT):
        return space.defaults()
    if REQUEUED_FROM in trial.user_attrs:  # it had its settings when it began
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
    return {**trial.system_attrs.get(QUEUED, {}), **trial.params}


def point_of(trial: FrozenTrial, space: Space, fixed: Mapping[str, object]) -> dict[str, object] | None:
    """Return where a trial stands in a space, None if it was trained with other settings beside those searched.

    Args:
        trial: a study's.
        space: the study file's.
        fixed: what the space does not search, see `current.unsearched`.
    """
    if "config" not in trial.user_attrs:
        return settings(trial)
    if not trained_with(trial, fixed):
        return None
    had = filled(space, trial)
    return {d.name: had[d.name] for d in space.dimensions if d.name in had}


def fits(trial: FrozenTrial, space: Space) -> bool:
    """Tell whether a space still allows what a trial runs with."""
    asked = settings(trial)
    if trial.params.keys() - {dimension.name for dimension in space.dimensions}:
        return False  # drawn by a search that was killed then, and fixed since: it would be trained with another value
    try:
        for dimension in space.dimensions:
            if dimension.name in asked:
                dimension.check(asked[dimension.name])
    except UsageError:
        return False
    return True
