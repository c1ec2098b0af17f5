"""Everything that a report shows of a study, read once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import pandas as pd

from ferhpo.report import frames, validation_frames, verdict_frames
from ferhpo.report.ensemble_frames import EnsembleTables, ensemble
from ferhpo.report.facts import Facts, facts
from ferhpo.report.learned import Learned, learned
from ferhpo.report.pick import col, records, rows
from ferhpo.report.validation_frames import Judged
from ferhpo.study.study import Study
from ferhpo.study.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One moment of a study.

    Args:
        facts: what the study is about.
        found: the trials.
        table: the trials as `frames.trials` has them, best first.
        ended: those that ended with a value.
        best: the best trial's row, None if no trial has ended with a value and keeps the constraints.
        front: see `verdict_frames.front`; empty with one objective.
        confirmed: see `verdict_frames.confirmed`; may be empty.
        prior: see `verdict_frames.prior`; likewise.
        judged: the best trial's validation probabilities and the labels, if they are kept.
        learned: what else the study learned.
        standing: the running ensemble's curve, see `frames.standing`; may be empty.
        ensemble: what the last `ferhpo ensemble` stored, None if there was none.
    """

    facts: Facts
    found: Sequence[Trial]
    table: pd.DataFrame
    ended: pd.DataFrame
    best: dict[str, Any] | None
    front: pd.DataFrame
    confirmed: pd.DataFrame
    prior: pd.DataFrame
    judged: Judged | None
    learned: Learned
    standing: pd.DataFrame
    ensemble: EnsembleTables | None

    @classmethod
    def read(cls, study: Study) -> Self:
        """Read a study."""
        about, found = facts(study), study.trials()
        on_front = [t.number for t in study.front(found)]
        table = frames.ranked(frames.trials(found, about.majority), maximize=about.maximize, front=on_front)
        ended = frames.ended(table)
        best_trial = study.best(found)
        number = -1 if best_trial is None else best_trial.number
        best = next(iter(records(rows(ended, col(ended, "number") == number))), None)
        return cls(
            facts=about,
            found=found,
            table=table,
            ended=ended,
            best=best,
            front=verdict_frames.front(table, on_front) if about.others else table.head(0),
            confirmed=verdict_frames.confirmed(study.confirmed()),
            prior=verdict_frames.prior(study.prior),
            judged=validation_frames.judged(study, best_trial),
            learned=learned(study, about, table),
            standing=frames.standing(study.standing["points"]),
            ensemble=ensemble(study.folder),
        )

    @property
    def chosen(self) -> dict[str, Any] | None:
        """The stored validation figures of the ensemble, None if there are none."""
        scores = self.ensemble.scores if self.ensemble else None
        val = [] if scores is None else records(rows(scores, col(scores, "split") == "val"))
        return next((row for row in val if row["kind"] == "chosen"), None)
