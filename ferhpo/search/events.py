"""What a search tells whoever watches it; `cli/live.py` draws these, a notebook may."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchBegan:
    """The workers are asked for; ``done`` of ``trials`` were there already, ``best`` among them (number, value)."""

    study: str
    metric: str
    trials: int
    done: int
    concurrency: int
    seconds: float | None
    best: tuple[int, float] | None
    maximize: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialBegan:
    """A trial was given to a worker; ``epoch`` epochs are behind it already if it goes on."""

    number: int
    params: Mapping[str, Any]
    epoch: int
    epochs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnded:
    """A trial reported an epoch."""

    number: int
    epoch: int
    epochs: int
    value: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnded:
    """A trial is COMPLETE, PRUNED or FAIL; or it was handed back (WAITING), or cannot go on (QUEUED AGAIN)."""

    number: int
    state: str
    value: float | None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something worth a line: what recovery settled, why the search is ending."""

    text: str


Event = SearchBegan | TrialBegan | EpochEnded | TrialEnded | Note
Emit = Callable[[Event], None]
