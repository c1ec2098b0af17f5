"""What another study's trials tell a search before its own do: prior knowledge, which is no trial of the study.

It is kept as one attribute of the study, the other study's trials by name, so that nothing that counts, ranks or draws
trials can mistake them for its own, and the other study may be deleted. Only the sampler reads it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from ferhpo import _layout
from ferhpo.errors import UsageError
from ferhpo.space.aims import broken
from ferhpo.space.config import TrialConfig
from ferhpo.space.dimension import Dimension
from ferhpo.space.space import Space, applies
from ferhpo.space.spec import StudySpec
from ferhpo.study import store
from ferhpo.study.find import name_of
from ferhpo.study.overview import study_names
from ferhpo.study.quantities import known
from ferhpo.study.store import remembered_url
from ferhpo.study.study import Study

Records = Sequence[Mapping[str, Any]]


def of_study(root: Path, name: str | None, spec: StudySpec, storage: str | None = None) -> dict[str, Records]:
    """Return the records of the study that ``--from-study`` names, by its name; nothing without one.

    Args:
        root: the folder of studies.
        name: the other study's.
        spec: the study that is to learn from it.
        storage: URL of that one's database, where the other study may be too: what it remembers holds no password.
    """
    if name is None:
        return {}
    other = _opened(root, name_of(name), storage)
    return {other.name: records(other, spec)}


def records(other: Study, spec: StudySpec) -> Records:
    """Return the COMPLETE and PRUNED trials of another study as JSON: number, state, epochs, values, settings.

    Those that are known to break a constraint of the new study are left out, and those of another choice than the one
    that the new study keeps to.

    Args:
        other: the study that was searched before.
        spec: the study that is to learn from it.

    Raises:
        UsageError: the values could not be compared, no setting is common, or the sampler cannot learn from them.
    """
    _check(other, spec)
    defaults, kept = TrialConfig().params(), []
    searched, theirs = {d.name for d in spec.space.dimensions}, other.spec.space.dimensions
    chosen, here = [d for d in theirs if d.choices and d.name not in searched], spec.space.default_config()
    for t in other.trials():
        config = t.config if t.state in {"COMPLETE", "PRUNED"} and t.values and t.copied_from is None else None
        if broken(spec.constraints, known(t.attrs), whole=t.state == "COMPLETE") is not None:
            continue
        if config is not None and _chose_otherwise(config, chosen, here):
            continue
        if config is not None and config.epochs == spec.budget.epochs:
            settings = {name: value for name, value in config.params().items() if value != defaults[name]}
            epochs = sorted(t.values)
            values = [t.values[epoch] for epoch in epochs]
            kept.append(
                {"number": t.number, "state": t.state, "epochs": epochs, "values": values, "settings": settings}
            )
    if not trials(kept, spec.space):
        msg = (
            f"--from-study {other.name}: no COMPLETE or PRUNED trial of it has settings that lie in the new space; "
            "widen [space], or leave out --from-study"
        )
        raise UsageError(msg)
    return kept


def trials(kept: Records, space: Space) -> list[FrozenTrial]:
    """Return what is kept of another study as trials of a space; those with a setting outside it are left out."""
    distributions = {d.name: d.distribution() for d in space.dimensions}
    found = []
    for record in kept:
        params = _point(space, TrialConfig().params() | dict(record["settings"]))
        if params is not None:
            state, values = TrialState[record["state"]], record["values"]
            found.append(
                create_trial(
                    state=state,
                    value=values[-1] if state == TrialState.COMPLETE else None,
                    params=params,
                    distributions={name: distributions[name] for name in params},
                    intermediate_values=dict(zip(record["epochs"], values, strict=True)),
                )
            )
    return found


def _opened(root: Path, name: str, storage: str | None) -> Study:
    if storage is not None and name in study_names(root):
        known = remembered_url(_layout.study_folder(root, name))
        storage = storage if store.without_password(store.absolute(storage)) == known else None
    return Study.open(root, name, storage)


def _check(other: Study, spec: StudySpec) -> None:
    if other.name == spec.name:
        msg = f"--from-study {other.name}: that is this study, whose own trials count anyway; name another study"
        raise UsageError(msg)
    if len(spec.objectives) > 1 or len(other.objectives) > 1:
        owner = spec.name if len(spec.objectives) > 1 else other.name
        msg = (
            f"--from-study {other.name}: a study learns from another one if both have one objective, and '{owner}' has "
            "several; leave out --from-study"
        )
        raise UsageError(msg)
    if other.metric != spec.metric or other.directions != [spec.direction]:
        msg = (
            f"--from-study {other.name}: its metric is {other.metric} to {', '.join(other.directions)}, and this "
            f"study's {spec.metric} to {spec.direction}; name another study"
        )
        raise UsageError(msg)
    if other.spec.budget.trial_seconds is not None:
        msg = (
            f"--from-study {other.name}: its trials have a time and not a number of epochs, so their values compare "
            "with none here; run its best settings with --enqueue instead"
        )
        raise UsageError(msg)
    if other.spec.budget.epochs != spec.budget.epochs:
        msg = (
            f"--from-study {other.name}: its trials have {other.spec.budget.epochs} epochs, and this study's "
            f"{spec.budget.epochs}; run its best settings with --enqueue instead"
        )
        raise UsageError(msg)
    if not {d.name for d in spec.space.dimensions} & {d.name for d in other.spec.space.dimensions}:
        msg = f"--from-study {other.name}: no setting is searched by both studies; name another study"
        raise UsageError(msg)
    if spec.sampler.name != "fidelity":
        msg = (
            f"--from-study {other.name}: the sampler that learns from another study is fidelity, got "
            f"{spec.sampler.name}; choose it"
        )
        raise spec.error(msg, "sampler", "name")


def _chose_otherwise(config: TrialConfig, chosen: Sequence[Dimension], here: TrialConfig) -> bool:
    """Tell whether a trial has another choice of the other study than the one value that the new study has.

    Of a range hardly any trial has just that value, so all of them count, as they do for what the other study fixed.

    Args:
        config: the trial's.
        chosen: choices that the other study searched and the new one does not.
        here: has what the new study fixes.
    """
    settings = config.params()
    return any(settings[d.name] != getattr(here, d.name) for d in chosen if applies(d, settings))


def _point(space: Space, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        return {d.name: d.check(settings[d.name]) for d in space.dimensions if applies(d, settings)}
    except UsageError:
        return None
