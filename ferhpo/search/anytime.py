"""What an ensemble of the trials so far would be worth: kept beside the best single trial while a search runs.

Computed by the driver when a trial ends that changes the pool; 0.05 s of a CPU for the accuracy of 20 members x 3,589
rows x 7 classes. The curve and the members stand in the study (`Study.standing`), so a search that goes on continues
both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ferhpo import _layout, metrics
from ferhpo.ensemble.folds import deal
from ferhpo.ensemble.select import greedy
from ferhpo.errors import CheckpointError, one_line
from ferhpo.search.events import Emit, EnsembleScored, Note
from ferhpo.study.artifacts import KEEP
from ferhpo.study.study import Study
from ferhpo.study.trial import Trial
from ferhpo.study.writer import StudyWriter

ROUNDS = 12  # of greedy selection; 25, as `ferhpo ensemble` does, take twice the time for the same curve
CELLS = 100_000  # rows x classes that are scored; of larger validation splits every n-th row
POINTS = 400  # of the curve; beyond, every second one goes


@dataclass(slots=True, kw_only=True)
class RunningEnsemble:
    """Follows a search: `follow` after every trial that ended.

    Args:
        study: for reading; its validation labels are read at the first update.
        points: of the curve so far: trials, ensemble, single.
        members: numbers of the trials that are in the ensemble now; their files must be kept.
        scoring: there is something to combine, as trials of an objective leave nothing, and it could be read so far.
    """

    study: Study
    points: list[list[float]] = field(default_factory=list)
    members: tuple[int, ...] = ()
    scoring: bool = True
    _pool: frozenset[int] = frozenset()
    _probs: dict[int, np.ndarray] = field(default_factory=dict)
    _rows: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None  # which are scored, their labels, their folds

    @classmethod
    def of(cls, study: Study) -> "RunningEnsemble":
        """Return the ensemble where the study's last search left it."""
        stored = study.standing
        return cls(
            study=study,
            points=[list(p) for p in stored["points"]],
            members=tuple(stored["members"]),
            scoring=bool(study.data["classes"]),
        )

    @property
    def worth(self) -> tuple[int, float] | None:
        """How many members, and the ensemble's value; None before there are two trials."""
        return (len(self.members), self.points[-1][1]) if self.points else None

    def follow(self, writer: StudyWriter, found: Sequence[Trial], emit: Emit) -> None:
        """Take the trials so far into account, store what came of it and tell it; an error is told and ends that.

        Args:
            writer: the study.
            found: its trials and repeats.
            emit: called with the event.
        """
        if not self.scoring:
            return
        candidates = self.study.candidates(found)
        try:
            standing = self.update(candidates, sum(t.counts for t in found))
        except Exception as error:  # noqa: BLE001 - a search is worth more than the curve beside it
            self.scoring = False
            emit(Note(text=f"the running ensemble is left out from here on: {one_line(error)}"))
            return
        if standing is not None:
            writer.keep_standing(self.to_json())
            emit(standing)

    def update(self, candidates: Sequence[Trial], trials: int) -> EnsembleScored | None:
        """Select and score anew if the pool changed: the search's best KEEP candidates, repeats, the members so far.

        Args:
            candidates: trials with kept files, best first.
            trials: how many count now.

        Returns:
            The new figures, None if the pool is as before or smaller than 2.

        Raises:
            CheckpointError: probabilities of a trial, or the validation labels, are damaged or missing.
        """
        best = [t for t in candidates if not t.repeats][:KEEP]
        known = {t.number for t in best}
        more = (t for t in candidates if t.number not in known and (t.repeats or t.number in self.members))
        chosen = [*best, *more]
        pool = frozenset(t.number for t in chosen)
        if pool == self._pool or len(pool) < 2:
            return None
        if self._rows is None:
            self._rows = _scored_rows(*self.study.validation(), len(self.study.data["classes"]))
        rows_n, y_n, fold_n = self._rows
        fresh = {t.number: _probabilities(t, rows_n) for t in chosen if t.number not in self._probs}
        self._probs = {n: probs_nc for n, probs_nc in (self._probs | fresh).items() if n in pool}
        self._pool = pool
        probs_mnc = np.stack([self._probs[t.number] for t in chosen])
        metric, held_nc = self.study.metric, np.empty_like(probs_mnc[0])
        for fold in np.unique(fold_n):
            seen, held = fold_n != fold, fold_n == fold
            weights_m = greedy(probs_mnc[:, seen], y_n[seen], ROUNDS, metric=metric)
            held_nc[held] = np.tensordot(weights_m.astype(np.float32), probs_mnc[:, held], 1)
        weights_m = greedy(probs_mnc, y_n, ROUNDS, metric=metric)
        self.members = tuple(chosen[m].number for m in np.flatnonzero(weights_m))
        alone = (m for m, t in enumerate(chosen) if m == 0 or t.repeats)  # the best trial, or a repeat that is better
        ensemble, *singles = (metrics.figures(p, y_n)[metric] for p in (held_nc, *(probs_mnc[m] for m in alone)))
        single = max(singles) if metrics.metric(metric).maximize else min(singles)
        scored = EnsembleScored(trials=trials, ensemble=ensemble, single=single, members=self.members)
        self.points.append([trials, ensemble, single])
        if len(self.points) > POINTS:
            del self.points[1:-1:2]
        return scored

    def to_json(self) -> dict[str, Any]:
        """Return what `of` reads."""
        return {"points": self.points, "members": list(self.members)}


def _scored_rows(y_n: np.ndarray, groups_n: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    step = -(-len(y_n) * classes // CELLS)
    rows_n = np.sort(np.argsort(groups_n, kind="stable")[::step])  # of each group its share: there may be few
    return rows_n, y_n[rows_n], deal(y_n[rows_n], groups_n[rows_n])


def _probabilities(trial: Trial, rows_n: np.ndarray) -> np.ndarray:
    assert trial.checkpoint is not None
    path = trial.checkpoint / _layout.PROBABILITIES
    try:
        probs_nc = np.load(path, allow_pickle=False).astype(np.float32)[rows_n]
    except (OSError, ValueError, EOFError, IndexError) as error:
        msg = f"trial {trial.number}: {path} must hold validation probabilities, got {error!r}"
        raise CheckpointError(msg) from None
    if not np.isfinite(probs_nc).all():
        msg = f"trial {trial.number}: {path} must hold finite probabilities; delete {trial.checkpoint} to leave it out"
        raise CheckpointError(msg)
    return probs_nc
