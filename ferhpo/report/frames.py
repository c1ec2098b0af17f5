"""Tables from a study's trials; numbers only, drawing them is for `plots`.

Every function takes the trials that were read once, so that one report is of one moment even while a search goes on.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ferhpo.report.pick import col, rows, total
from ferhpo.study.attrs import VOID
from ferhpo.study.overview import STATES
from ferhpo.study.trial import Trial

PARAM = "params_"  # in front of a parameter's name in a column, as in Optuna's own frames
AIM = "objectives_"  # likewise of an objective's
REPEAT = "REPEAT"  # what was spent on training the best again, whatever became of it
SHOWN_STATES = (*STATES[:3], "INTERRUPTED", *STATES[3:], REPEAT)
MARGIN = 0.01  # of accuracy above the commonest class's share up to which a trial has learned next to nothing
COLUMNS = (
    *("number", "state", "value", "latest", "epochs", "trained", "seconds", "images_per_second", "parameters"),
    *("accuracy", "robust_accuracy", "barely", "arch", "origin", "feasible", "broken"),
    *("requeued", "error", "started", "ended"),
)


def trials(found: Sequence[Trial], majority: float | None = None) -> pd.DataFrame:
    """Return one row per trial, by number.

    Args:
        found: the trials.
        majority: the commonest class's share of the validation rows, to tell who barely beats it.

    Returns:
        number, state, value, latest (the value after the last epoch, of an unfinished trial too), epochs, trained (of
        these by itself), seconds (of training), images_per_second, parameters, accuracy, robust_accuracy (under attack,
        where trained so), barely (ended about as good as always answering the commonest class), arch, origin (see
        `Trial.origin`), feasible, broken (constraints, in words), requeued, error, started, ended, ``objectives_NAME``
        for every objective of a study with several, and ``params_NAME`` for every parameter.
    """
    lines = [_row(t, majority) for t in found]
    names = list(dict.fromkeys(name for t in found for name in t.params))
    aims = list(dict.fromkeys(name for t in found if len(t.objectives) > 1 for name in t.objectives))
    more = (*(AIM + name for name in aims), *(PARAM + name for name in names))
    table = pd.DataFrame(lines, columns=[*COLUMNS, *more])
    numbers = ["value", "latest", "seconds", "images_per_second", "parameters", "accuracy", "robust_accuracy"]
    table[numbers] = table[numbers].astype(float)
    return table.astype(
        {"number": int, "epochs": int, "trained": int, "barely": bool, "feasible": bool, "requeued": bool}
    )


def ended(table: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that ended with a value: COMPLETE and PRUNED ones."""
    return rows(table, col(table, "state").isin(["COMPLETE", "PRUNED"]) & col(table, "value").notna())


def ranked(table: pd.DataFrame, *, maximize: bool, front: Sequence[int] = ()) -> pd.DataFrame:
    """Return the trials' table best first: COMPLETE, then PRUNED, by value; then all others by number.

    Trials that break a constraint are among the others. Among equals those of the front, given by number, come first.
    """
    group = col(table, "state").map({"COMPLETE": 0, "PRUNED": 1}).fillna(2).where(col(table, "feasible"), 2)
    value = -col(table, "value") if maximize else col(table, "value")
    keys = {"group": group, "key": value.where(group < 2, 0), "behind": ~col(table, "number").isin(list(front))}
    order = pd.DataFrame(keys | {"number": table["number"]})
    return pd.DataFrame(table.loc[order.sort_values(list(order)).index])


def history(table: pd.DataFrame, *, maximize: bool) -> pd.DataFrame:
    """Return order, number, state, value and best so far of the ended trials with a value, as they ended one by one.

    The best is among COMPLETE trials that keep the constraints, as everywhere; among PRUNED ones only where none is
    COMPLETE.
    """
    columns = ["number", "state", "value", "feasible"]
    points = pd.DataFrame(ended(table).sort_values(["ended", "number"])[columns]).reset_index(drop=True)
    kept = col(points, "value").where(col(points, "feasible"))
    values = kept.where(col(points, "state") == "COMPLETE")
    values = values if values.notna().any() else kept
    best = (values.cummax() if maximize else values.cummin()).ffill()
    return points.drop(columns="feasible").assign(order=range(1, len(points) + 1), best=best)


def standing(points: Sequence[Sequence[float]]) -> pd.DataFrame:
    """Return trials, ensemble and single: the running ensemble beside the best single trial, see `Study.standing`."""
    return pd.DataFrame(points, columns=["trials", "ensemble", "single"], dtype=float)


def curves(found: Sequence[Trial]) -> pd.DataFrame:
    """Return one row per trial and epoch: number, state, epoch, value, every figure, train_loss, lr, seconds."""
    lines = []
    for trial in found:
        records = {int(row["epoch"]): row for row in trial.attrs.get("history") or []}
        for epoch in sorted(records.keys() | trial.values.keys()):
            record = records.get(epoch, {})
            plain = {key: record.get(key) for key in ("train_loss", "lr", "seconds")}
            point = {"number": trial.number, "state": trial.state, "epoch": epoch, "value": trial.values.get(epoch)}
            lines.append(point | plain | dict(record.get("figures") or {}))
    columns = ["number", "state", "epoch", "value", "train_loss", "lr", "seconds"]
    table = pd.DataFrame(lines, columns=None if lines else columns)
    floats = [c for c in table.columns if c not in {"number", "state", "epoch"}]
    table[floats] = table[floats].astype(float)
    return table


def budget(found: Sequence[Trial]) -> pd.DataFrame:
    """Return trials, epochs and seconds by state, and each one's share of all (``trials_share`` ...); repeats apart."""
    table = trials([replace(t, state=REPEAT) if t.repeats else t for t in found])
    groups = table.groupby("state").agg(
        trials=("number", "size"), epochs=("trained", "sum"), seconds=("seconds", "sum")
    )
    groups = groups.reindex([s for s in SHOWN_STATES if s in groups.index])
    for column in ("trials", "epochs", "seconds"):
        whole = total(groups, column)
        groups[f"{column}_share"] = groups[column] / whole if whole else 0.0
    return groups.reset_index(names="state")


def _row(trial: Trial, majority: float | None) -> dict[str, Any]:
    attrs = trial.attrs
    records = attrs.get("history") or []
    seconds = attrs.get(
        "seconds", sum(r["seconds"] for r in records if r.get("seconds") is not None) if records else None
    )
    rates = [r["images_per_second"] for r in records if r.get("images_per_second")]
    figures = attrs.get("figures") or (records[-1].get("figures") if records else None) or {}
    accuracy, ended = figures.get("accuracy"), trial.state in {"COMPLETE", "PRUNED"}
    epochs = max([len(records), *trial.values])
    return {
        "number": trial.number,
        "state": trial.state,
        "value": trial.value,
        "latest": trial.values[max(trial.values)] if trial.values else trial.value,
        "epochs": epochs,
        "trained": epochs - trial.inherited,
        "seconds": seconds,
        "images_per_second": attrs.get("images_per_second", float(np.median(rates)) if rates else None),
        "parameters": attrs.get("parameters"),
        "accuracy": accuracy,
        "robust_accuracy": figures.get("robust_accuracy"),
        "barely": ended and majority is not None and accuracy is not None and accuracy <= majority + MARGIN,
        "arch": trial.params["arch"] if "arch" in trial.params else attrs.get("config", {}).get("arch"),
        "origin": trial.origin or None,
        "feasible": trial.eligible,
        "broken": attrs.get("broken"),
        "requeued": bool(attrs.get(VOID)),
        "error": attrs.get("error") or None,
        "started": trial.started,
        "ended": trial.ended,
        **{AIM + name: value for name, value in trial.objectives.items()},
        **{PARAM + name: value for name, value in trial.params.items()},
    }
