"""Opening a study for writing: begun, or checked to be the same study and brought to what its file says now."""

import socket
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage
from optuna.study import StudyDirection

from ferhpo import __version__, _layout
from ferhpo.errors import DataError, StudyError
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.study import store
from ferhpo.study.attrs import BASE, CONSTRAINTS, DRIVER, OBJECTIVES, PRIOR
from ferhpo.study.choices import Choices, ever_offered, outside
from ferhpo.study.compatible import check_compatible
from ferhpo.study.trial import counts

Prior = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A study open for writing.

    Args:
        study: Optuna's.
        grown: every choice that was ever offered, of parameters whose list in the database has grown, see `choices`.
        notes: what a user should know of the study as it was found.
    """

    study: optuna.Study
    grown: Choices
    notes: tuple[str, ...] = ()


def check_place(folder: Path, name: str, url: str) -> None:
    """Refuse to begin a study anew in another database: its trials would replace the files of the old ones.

    The database is only read, since opening it for writing would make it.

    Args:
        folder: the study's.
        name: the study's.
        url: of the database.

    Raises:
        StudyError: the folder has files of trials that are in another database.
    """
    known, shown = store.remembered_url(folder), store.without_password(url)
    if known != shown and _layout.trials_on_disk(folder) and not store.holds(url, name):
        msg = (
            f"study '{name}' is kept in {known}, and {shown} does not hold it; give --storage {known}, or copy the "
            "study file to a new name"
        )
        raise StudyError(msg)


def opened(rdb: RDBStorage, spec: StudySpec, data: Mapping[str, Any], shown_url: str) -> Opened:
    """Return the study of the spec's name: the database's, or a new one.

    Args:
        rdb: its database, locked by the caller.
        spec: the study file.
        data: what is written down of the data.
        shown_url: the database's URL in messages.

    Raises:
        StudyError, SpecError: the study file changed in what may not change.
        DataError: the study was begun with other data.
    """
    if spec.name not in optuna.get_all_study_names(rdb):
        study = optuna.create_study(study_name=spec.name, storage=store.OneWriter(rdb), directions=spec.directions)
        with warnings.catch_warnings():  # still called experimental; the dashboard shows the name
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(spec.objectives))
        return Opened(study=study, grown={})
    study = store.load(store.OneWriter(rdb), spec.name, shown_url)
    trials = study.get_trials(deepcopy=False)
    stored = {name: drawn_from for t in trials for name, drawn_from in t.distributions.items()}
    notes = _checked(study, spec, data, stored)
    grown = ever_offered(spec.space, stored)
    longer = {name: c for name, c in grown.items() if CategoricalDistribution(c) != stored[name]}
    if longer:
        store.set_choices(rdb, spec.name, longer)
        study = store.load(store.OneWriter(rdb), spec.name, shown_url)  # the old one had cached the shorter lists
    return Opened(study=study, grown=grown, notes=notes)


def describe(study: optuna.Study, spec: StudySpec, data: Mapping[str, Any], prior: Prior) -> None:
    """Write down what the study is of: its file, its data, who writes it, and what other studies it learns from."""
    attrs = {"spec": spec.text, "data": dict(data), "ferhpo": __version__, "metric": spec.metric}
    if len(spec.objectives) > 1:
        attrs[OBJECTIVES] = list(spec.objectives)
    if spec.base is not None:
        attrs[BASE] = str(spec.base)
    if spec.constraints:
        attrs[CONSTRAINTS] = [str(constraint) for constraint in spec.constraints]
    for key, value in attrs.items():
        if study.user_attrs.get(key) != value:
            study.set_user_attr(key, value)
    study.set_user_attr(DRIVER, {"host": socket.gethostname()})
    if prior:
        study.set_user_attr(PRIOR, {**study.user_attrs.get(PRIOR, {}), **prior})


def _checked(
    study: optuna.Study, spec: StudySpec, data: Mapping[str, Any], stored: Mapping[str, BaseDistribution]
) -> tuple[str, ...]:
    """Refuse what would not be the same study; return what a user should know of the one that is."""
    old = study.user_attrs
    if old.get("data", data)["fingerprint"] != data["fingerprint"]:
        msg = f"a study keeps its data, and '{spec.name}' was begun with other data; copy the study file to a new name"
        raise DataError(msg)
    notes: tuple[str, ...] = ()
    if old.get("spec", spec.text) != spec.text:
        check_compatible(parse_spec(old["spec"], name=spec.name, path="study file of the last run"), spec, stored)
        trials = study.get_trials(deepcopy=False)
        if gone := outside(spec.space, trials):
            of = sum(counts(t.user_attrs, ended=t.state.is_finished()) for t in trials)
            notes = (
                f"{gone} of {of} trials have choices that the study file no longer offers: they stay as "
                "history and count as before",
            )
    if study.directions != [StudyDirection[d.upper()] for d in spec.directions]:
        got = ", ".join(d.name.lower() for d in study.directions)
        msg = (
            f"a study keeps its direction, and '{spec.name}' has {got} where {', '.join(spec.objectives)}"
            f" is to {', '.join(spec.directions)}; copy the study file to a new name"
        )
        raise StudyError(msg)
    return notes
