"""Tables from one trial's kept validation probabilities: how far to trust them, and which classes it confuses."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ferhpo import _layout, metrics, scoring
from ferhpo.errors import CheckpointError
from ferhpo.report.pick import rows as rows_of
from ferhpo.study.study import Study
from ferhpo.study.trial import Trial

BINS = 10
Judged = tuple[np.ndarray, np.ndarray]  # probs_nc, y_n


def judged(study: Study, trial: Trial | None) -> Judged | None:
    """Return a trial's validation probabilities and the labels, None where they are not kept or do not fit."""
    if trial is None or trial.checkpoint is None:
        return None
    try:
        y_n, _ = study.validation()
        probs_nc = np.load(trial.checkpoint / _layout.PROBABILITIES, allow_pickle=False).astype(np.float64)
    except (CheckpointError, OSError, ValueError, EOFError):
        return None
    fits = (
        probs_nc.ndim == 2
        and len(probs_nc) == len(y_n) > 0
        and probs_nc.shape[1] > y_n.max()
        and np.isfinite(probs_nc).all()
    )
    return (probs_nc, y_n) if fits else None


def reliability(probs_nc: np.ndarray, y_n: np.ndarray) -> pd.DataFrame:
    """Return rows, confidence and accuracy of the top class by bin of confidence, no empty bins."""
    confidence_n, right_n = probs_nc.max(1), probs_nc.argmax(1) == y_n
    index_n = np.minimum((confidence_n * BINS).astype(int), BINS - 1)
    rows = np.bincount(index_n, minlength=BINS)
    kept = rows > 0
    table = {
        "rows": rows,
        "confidence": np.bincount(index_n, weights=confidence_n, minlength=BINS) / np.maximum(rows, 1),
        "accuracy": np.bincount(index_n, weights=right_n, minlength=BINS) / np.maximum(rows, 1),
    }
    return rows_of(pd.DataFrame(table), kept).reset_index(drop=True)


def confusion(probs_nc: np.ndarray, y_n: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Count validation rows by label (index) and answer (columns)."""
    names = list(classes) if len(classes) == probs_nc.shape[1] else [str(c) for c in range(probs_nc.shape[1])]
    return pd.DataFrame(
        metrics.confusion(probs_nc, y_n), index=pd.Index(names, name="label"), columns=pd.Index(names, name="answer")
    )


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """Return a confusion table as shares of each label's rows; 0 where a label has none."""
    counts = table.to_numpy(dtype=float)
    sums = counts.sum(1, keepdims=True)
    return pd.DataFrame(counts / np.maximum(sums, 1), index=table.index, columns=table.columns)


def by_class(table: pd.DataFrame) -> pd.DataFrame:
    """Return rows, precision, recall and f1 of each class from a confusion table, as `scoring.by_class`."""
    return pd.DataFrame({"class": table.index, **scoring.by_class(table.to_numpy())})
