"""Tables from a study's trials; numbers only, drawing them is for `plots`.

Every function takes the trials that were read once, so that one report is of one moment even while a search goes on.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
import pandas as pd

from ferhpo.errors import CheckpointError, UsageError
from ferhpo.report.pick import col, rows, total
from ferhpo.space.dimension import Dimension
from ferhpo.space.spec import StudySpec
from ferhpo.study.attrs import VOID
from ferhpo.study.study import STATES, Study
from ferhpo.study.trial import Trial

PARAM = "params_"  # in front of a parameter's name in a column, as in Optuna's own frames
AIM = "objectives_"  # likewise of an objective's
REPEAT = "REPEAT"  # what was spent on training the best again, whatever became of it
SHOWN_STATES = (*STATES[:3], "INTERRUPTED", *STATES[3:], REPEAT)
MARGIN = 0.01  # of accuracy above the commonest class's share up to which a trial has learned next to nothing
ENOUGH = 8  # COMPLETE trials from which on importances say something
COLUMNS = (
    *("number", "state", "value", "latest", "epochs", "trained", "seconds", "images_per_second", "parameters"),
    *("accuracy", "robust_accuracy", "barely", "arch", "origin", "feasible", "broken"),
    *("requeued", "error", "started", "ended"),
)
TOP = 0.25  # share of the COMPLETE trials whose parameters are set against all


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a study is about.

    Args:
        name: the study's.
        description: the study file's line for people, "" if there is none.
        metric: name of the figure that is searched for, "value" where the study does not say.
        others: objectives beside it.
        constraints: what trials must keep, as the study file writes it.
        maximize: whether more of it is better.
        data: what the study wrote down of its data (path, format, fingerprint ...); empty if nothing.
        classes: names in the order of the labels.
        counts: split -> rows; test is a number of rows and nothing else.
        per_class: class x (train, val), rows; empty if unknown.
        majority: share of the commonest class among the validation rows, which is the accuracy of always answering it.
        states: trials by state as the database has it.
        running: whether a search runs on this machine now.
        openings: openings of the sealed test split: date, version, command.
        spec: the study file as text, "" if there is none.
        dimensions: what is searched, by parameter; empty if unknown.
        epochs: of a trial that is never stopped, None if unknown.
        version: ferhpo's at the last run, "" if unknown.
    """

    name: str
    description: str
    metric: str
    others: tuple[str, ...]
    constraints: tuple[str, ...]
    maximize: bool
    data: Mapping[str, Any]
    classes: tuple[str, ...]
    counts: Mapping[str, int]
    per_class: pd.DataFrame
    majority: float | None
    states: Mapping[str, int]
    running: bool
    openings: Sequence[Mapping[str, str]]
    spec: str
    dimensions: Mapping[str, Dimension]
    epochs: int | None
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Importances:
    """How much each parameter mattered.

    Args:
        table: parameter, importance (sums to 1), largest first.
        reason: why the table is empty, "" if it is not.
    """

    table: pd.DataFrame
    reason: str


def facts(study: Study) -> Facts:
    """Return what the study is about; what it does not say is left empty."""
    attrs, spec = study.attrs, _spec(study)
    data = attrs.get("data") or {}
    counts = data.get("counts") or {}
    per_class = pd.DataFrame({split: counts[split] for split in ("train", "val") if split in counts}, dtype="Int64")
    per_class = per_class.reindex([c for c in data.get("classes", ()) if c in per_class.index] or per_class.index)
    return Facts(
        name=study.name,
        description=spec.description if spec else "",
        metric=attrs.get("metric") or (spec.metric if spec else "value"),
        others=tuple(name for name in study.objectives if name != study.metric),
        constraints=tuple(attrs.get("constraints", ())),
        maximize=study.maximize,
        data={k: v for k, v in data.items() if k not in {"counts", "classes"}},
        classes=tuple(data.get("classes", ())),
        counts={split: sum(rows.values()) for split, rows in counts.items()},
        per_class=per_class,
        majority=_majority(study, per_class),
        states=study.states(),
        running=study.running,
        openings=study.openings,
        spec=attrs.get("spec", ""),
        dimensions={d.name: d for d in spec.space.dimensions} if spec else {},
        epochs=spec.budget.epochs if spec else None,
        version=attrs.get("ferhpo", ""),
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


def by_architecture(table: pd.DataFrame, *, maximize: bool) -> pd.DataFrame:
    """Return the best trial of each architecture, best first.

    Returns:
        arch, trials (COMPLETE and PRUNED), best, state, number, parameters, images_per_second, seconds.
    """
    found = ended(table)
    found = ranked(rows(found, col(found, "arch").notna()), maximize=maximize)
    best = found.drop_duplicates("arch").rename(columns={"value": "best"})
    best = best.assign(trials=col(best, "arch").map(col(found, "arch").value_counts()))
    columns = ["arch", "trials", "best", "state", "number", "parameters", "images_per_second", "seconds"]
    return pd.DataFrame(best[columns]).reset_index(drop=True)


def importances(study: Study) -> Importances:
    """Tell which parameters set the best quarter of the COMPLETE trials apart from all of them.

    References:
        Watanabe et al. 2023, PED-ANOVA, arXiv 2304.10255; its conditional form as in Optuna 5.
    """
    complete = study.searched.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    names = {name for t in complete for name in t.params}
    varied = {name for name in names if len({repr(t.params.get(name)) for t in complete}) > 1}
    if len(complete) < ENOUGH:
        return _no_importances(f"importances need at least {ENOUGH} COMPLETE trials, there are {len(complete)} so far")
    if len(varied) < 2:
        return _no_importances(f"importances need at least 2 parameters that vary, there is {len(varied) or 'none'}")
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=TOP)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that equal values give equal importances
            found = optuna.importance.get_param_importances(study.searched, evaluator=evaluator, params=sorted(varied))
    except (ValueError, RuntimeError) as error:
        return _no_importances(f"Optuna could not compute importances ({error})")
    pairs = sorted(found.items(), key=lambda pair: -pair[1])
    return Importances(table=pd.DataFrame(pairs, columns=["parameter", "importance"]), reason="")


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


def _no_importances(reason: str) -> Importances:
    return Importances(table=pd.DataFrame({"parameter": [], "importance": []}), reason=reason)


def _spec(study: Study) -> StudySpec | None:
    """Return the kept study file, None where there is none or one of another version that is no longer understood."""
    try:
        return study.spec
    except (KeyError, UsageError):
        return None


def _majority(study: Study, per_class: pd.DataFrame) -> float | None:
    try:
        labels_n, _ = study.validation()
    except CheckpointError:
        rows_c = per_class["val"].to_numpy(dtype=float) if "val" in per_class else np.zeros(1)
        return float(rows_c.max() / rows_c.sum()) if rows_c.sum() else None
    return float(np.bincount(labels_n).max() / len(labels_n)) if len(labels_n) else None
