"""Tables from the ensemble in a study's folder; figures are shown as they are stored there, none is computed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

FOLDER, FILE = "ensemble", "ensemble.json"
FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "nll", "ece")
SCORES = ("name", "kind", "split", *FIGURES, "low", "high", "known")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleTables:
    """What the last `ferhpo ensemble` stored.

    Args:
        method: how the members are combined, "" if the file does not say.
        n_val: validation rows behind the figures, None if unknown.
        members: number, weight.
        scores: one row per classifier and split (val, test): name, kind (single, candidate, chosen), the figures, and
            low and high of the accuracy's 95 % interval, and whether it is known.
        p: of the exact McNemar test of ensemble against best single trial on the test split, None if it was not opened.
        problem: why the file could not be read, "" if it could.
    """

    method: str
    n_val: int | None
    members: pd.DataFrame
    scores: pd.DataFrame
    p: float | None
    problem: str


def ensemble(study_folder: Path) -> EnsembleTables | None:
    """Read what is stored of a study's ensemble; None if it has none."""
    path = study_folder / FOLDER / FILE
    if not path.is_file():
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return _tables({**stored, **_mapping(stored.get("report"))})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        problem = f"{path} cannot be read: {str(error).splitlines()[0]}"
        nothing = {"members": _members([]), "scores": _scores([])}
        return EnsembleTables(method="", n_val=None, p=None, problem=problem, **nothing)


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
    members = [_mapping(m) for m in stored.get("members") or []]
    n_val = stored.get("n_val")
    return EnsembleTables(
        method=method,
        n_val=int(n_val) if n_val is not None else None,
        members=_members([{"number": m.get("number"), "weight": m.get("weight")} for m in members]),
        scores=_scores([row for row in rows if row]),
        p=stored.get("mcnemar_p"),
        problem="",
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
