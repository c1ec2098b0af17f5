"""What a study is about, beside its trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ferhpo.errors import CheckpointError, UsageError
from ferhpo.scoring import majority
from ferhpo.space.dimension import Dimension
from ferhpo.space.spec import StudySpec
from ferhpo.study.attrs import CONSTRAINTS
from ferhpo.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a study is about.

    Args:
        name: the study's.
        description: the study file's line for people, "" if there is none.
        metric: name of the figure that is searched for.
        others: objectives beside it.
        constraints: what trials must keep, as the study file writes it.
        maximize: whether more of it is better.
        data: what the study wrote down of its data (path, format, fingerprint ...).
        classes: names in the order of the labels; none where an objective of one's own is searched.
        counts: split -> rows; test is a number of rows and nothing else; empty as `classes` is.
        per_class: class x (train, val), rows; empty as `classes` is.
        majority: share of the commonest class among the validation rows, which is the accuracy of always answering it;
            None without such rows.
        states: trials by state as the database has it.
        running: whether a search runs on this machine now.
        openings: openings of the sealed test split: date, version, command.
        spec: the study file as text.
        dimensions: what is searched, by parameter; empty if the study file is no longer understood.
        epochs: of a trial that is never stopped, None likewise.
        version: ferhpo's at the last run.
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


def facts(study: Study) -> Facts:
    """Return what the study is about."""
    attrs, data, spec = study.attrs, study.data, _spec(study)
    counts = data["counts"]
    columns = {split: counts[split] for split in ("train", "val") if split in counts}
    per_class = pd.DataFrame(columns, index=data["classes"], dtype="Int64")
    return Facts(
        name=study.name,
        description=spec.description if spec else "",
        metric=study.metric,
        others=tuple(name for name in study.objectives if name != study.metric),
        constraints=tuple(attrs.get(CONSTRAINTS, ())),
        maximize=study.maximize,
        data={k: v for k, v in data.items() if k not in {"counts", "classes"}},
        classes=tuple(data["classes"]),
        counts={split: sum(rows.values()) for split, rows in counts.items()},
        per_class=per_class,
        majority=_majority(study, counts.get("val", {})),
        states=study.states(),
        running=study.running,
        openings=study.openings,
        spec=attrs["spec"],
        dimensions={d.name: d for d in spec.space.dimensions} if spec else {},
        epochs=spec.budget.epochs if spec else None,
        version=attrs["ferhpo"],
    )


def _spec(study: Study) -> StudySpec | None:
    """Return the kept study file, None for one of another version that is no longer understood."""
    try:
        return study.spec
    except UsageError:
        return None


def _majority(study: Study, counts: Mapping[str, int]) -> float | None:
    try:
        labels_n, _ = study.validation()
    except CheckpointError:
        labels_n = np.repeat(np.arange(len(counts)), np.array(list(counts.values()), int))
    return majority(labels_n) if len(labels_n) else None
