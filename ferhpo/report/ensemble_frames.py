"""Tables from the ensemble in a study's folder; figures are shown as they are stored there, none is computed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd

from ferhpo import _layout
from ferhpo.errors import first_line
from ferhpo.metrics import METRICS

FIGURES = tuple(METRICS)
SCORES = ("name", "kind", "split", *FIGURES, "low", "high", "known")
FRONT = ("name", "kind", "trials", "members", "parameters", "latency_ms", "accuracy", "value", "best")
MORE = ("brier", "mse", "r2", "majority")
AVERAGES = ("precision", "recall", "f1")
WHO = {"ensemble": "ensemble", "best_single": "best single trial"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleTables:
    """What the last `ferhpo ensemble` stored.

    Args:
        method: how the members are combined, "" if the file does not say.
        n_val: validation rows behind the figures, None if unknown.
        members: number, weight.
        scores: one row per classifier and split (val, test): name, kind (single, candidate, chosen), the figures, and
            low and high of the accuracy's 95 % interval, and whether it is known.
        notes: what must be said before the figures.
        metric: the study's, of `front`.
        front: value against cost, cheapest first, a row per predictor (see `ensemble.front.Point`).
        calibration: temperature, skipped, and before and after by figure; empty if unknown.
        more: one row per classifier and split: brier, mse, r2, majority, means of precision, recall and F1 over classes
            (macro) and over rows (weighted), low and high of the macro F1's bootstrap interval or NaN.
        per_class: split, class, rows, precision, recall and f1 of the ensemble.
        confusion: of the ensemble on the test split if it was opened, else on validation rows: labels x answers.
        p: of the exact McNemar test of ensemble against best single trial on the test split, None if it was not opened.
        problem: why the file could not be read, "" if it could.
    """

    method: str
    n_val: int | None
    members: pd.DataFrame
    scores: pd.DataFrame
    notes: tuple[str, ...]
    metric: str
    front: pd.DataFrame
    calibration: Mapping[str, Any]
    more: pd.DataFrame
    per_class: pd.DataFrame
    confusion: pd.DataFrame
    p: float | None
    problem: str


def ensemble(study_folder: Path) -> EnsembleTables | None:
    """Read what is stored of a study's ensemble; None if it has none."""
    path = study_folder / _layout.ENSEMBLE / _layout.INDEX
    if not path.is_file():
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return _tables({**stored, **_mapping(stored.get("report"))})
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        return replace(_tables({}), scores=_scores([]), problem=f"{path} cannot be read: {first_line(error)}")


def _tables(stored: Mapping[str, Any]) -> EnsembleTables:
    method = str(stored.get("method") or "")
    single = _mapping(stored.get("best_single"))
    single_name = f"best single trial ({single['number']})" if "number" in single else "best single trial"
    candidates = _mapping(stored.get("candidates"))
    rows = [_score(single_name, "single", "val", single.get("val"))]
    rows += [
        _score(str(name), "chosen" if name == method else "candidate", "val", found)
        for name, found in candidates.items()
    ]
    if method not in candidates:
        rows.append(_score(method or "ensemble", "chosen", "val", stored.get("val")))
    rows.append(_score(single_name, "single", "test", single.get("test")))
    rows.append(_score(method or "ensemble", "chosen", "test", stored.get("test")))
    without = _mapping(stored.get("without_copies"))
    if without:
        some = f"without {stored['n_test'] - without['n']} rows that have copies elsewhere"
        rows.append(_score(f"{single_name}, {some}", "single", "test", without.get("best_single")))
        rows.append(_score(f"{method}, {some}", "chosen", "test", without.get("ensemble")))
    members = [_mapping(m) for m in stored.get("members") or []]
    evaluation = {split: _mapping(found) for split, found in _mapping(stored.get("evaluation")).items() if found}
    names = [str(name) for name in stored.get("classes") or []]
    n_val = stored.get("n_val")
    return EnsembleTables(
        method=method,
        n_val=int(n_val) if n_val is not None else None,
        members=_members([{"number": m.get("number"), "weight": m.get("weight")} for m in members]),
        scores=_scores([row for row in rows if row]),
        notes=tuple(map(str, stored.get("notes") or ())),
        metric=str(stored.get("metric") or "accuracy"),
        front=_front([_mapping(point) for point in stored.get("front") or []]),
        calibration=_mapping(stored.get("calibration")),
        more=_more(evaluation),
        per_class=_per_class(evaluation, names),
        confusion=_confusion(evaluation, names),
        p=stored.get("mcnemar_p"),
        problem="",
    )


def _front(points: list[Mapping[str, Any]]) -> pd.DataFrame:
    rows = [{**point, **_mapping(point["costs"]), "trials": " ".join(map(str, point["numbers"]))} for point in points]
    numbers = ("members", "parameters", "latency_ms", "accuracy", "value")
    return pd.DataFrame(rows, columns=list(FRONT)).astype(dict.fromkeys(numbers, float))


def _more(evaluation: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return what `scores` has no room for."""
    rows = []
    for split, found in evaluation.items():
        for who, figures in found.items():
            low, high = figures["bootstrap95"]["macro_f1"] if figures["bootstrap95"] else (nan, nan)
            row = {"name": WHO[who], "split": split, "low": low, "high": high, **{key: figures[key] for key in MORE}}
            row |= {f"{over}_{key}": figures[over][key] for over in ("macro", "weighted") for key in AVERAGES}
            rows.append(row)
    means = [f"{over}_{key}" for over in ("macro", "weighted") for key in AVERAGES]
    return pd.DataFrame(rows, columns=["name", "split", *MORE, *means, "low", "high"])


def _per_class(evaluation: Mapping[str, Mapping[str, Any]], names: list[str]) -> pd.DataFrame:
    rows = [
        {
            "split": split,
            "class": names[c],
            **{key: column[c] for key, column in found["ensemble"]["per_class"].items()},
        }
        for split, found in evaluation.items()
        for c in range(len(names))
    ]
    return pd.DataFrame(rows, columns=["split", "class", "rows", *AVERAGES])


def _confusion(evaluation: Mapping[str, Mapping[str, Any]], names: list[str]) -> pd.DataFrame:
    found = evaluation.get("test") or evaluation.get("val")
    if not found:
        return pd.DataFrame()
    return pd.DataFrame(
        found["ensemble"]["confusion"], index=pd.Index(names, name="label"), columns=pd.Index(names, name="answer")
    )


def _score(name: str, kind: str, split: str, found: object) -> dict[str, Any] | None:
    figures = _mapping(found)
    if not figures:
        return None
    interval = figures.get("ci95") or None
    low, high = interval or (None, None)
    values = {figure: figures.get(figure) for figure in FIGURES}
    return {
        "name": name,
        "kind": kind,
        "split": split,
        **values,
        "low": low,
        "high": high,
        "known": interval is not None,
    }


def _members(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["number", "weight"]).astype({"weight": float})


def _scores(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(SCORES)).astype(dict.fromkeys((*FIGURES, "low", "high"), float))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
