"""What a search tells whoever watches it; `cli/live.py` draws these, a notebook may."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchBegan:
    """The workers are asked for; ``done`` of ``trials`` were there already.

    ``best`` among them is number and value; ``ensemble`` of them is members and value, see `EnsembleScored`.
    """

    study: str
    metric: str
    trials: int
    done: int
    concurrency: int
    seconds: float | None
    best: tuple[int, float] | None
    ensemble: tuple[int, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialBegan:
    """A trial was given to a worker; ``epoch`` epochs are behind it already if it goes on.

    ``epochs`` are those of a whole trial, None where a time ends it. ``repeats`` is the number of the trial that it
    trains again, None of a trial of the search.
    """

    number: int
    params: Mapping[str, Any]
    epoch: int
    epochs: int | None
    repeats: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnded:
    """A trial reported an epoch; ``epochs`` as of `TrialBegan`."""

    number: int
    epoch: int
    epochs: int | None
    value: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnded:
    """A trial is COMPLETE, PRUNED or FAIL, or waits: PAUSED for a promotion, WAITING for the next run of the search.

    QUEUED AGAIN is one that cannot go on, its files being damaged. ``objectives`` are all of them where the study has
    several; ``broken`` says which constraints the trial does not keep.
    """

    number: int
    state: str
    value: float | None
    error: str | None = None
    objectives: Mapping[str, float] = field(default_factory=dict)
    broken: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleScored:
    """An ensemble of the trials so far was scored beside the best single trial.

    Args:
        trials: trials that count so far.
        ensemble: the study's metric of the greedy ensemble, cross-fitted: no row is scored by a selection that saw it.
        single: the same metric, on the same rows, of the best single trial, which was picked on them, or of a repeat of
            `--confirm` that is better.
        members: numbers of the trials in the ensemble that is selected on all rows.
    """

    trials: int
    ensemble: float
    single: float
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something worth a line: what recovery settled, why the search is ending."""

    text: str


Event = SearchBegan | TrialBegan | EpochEnded | TrialEnded | EnsembleScored | Note
Emit = Callable[[Event], None]
