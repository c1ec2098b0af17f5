"""`Trial`: one trial of a study as the database has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from ferhpo.space.aims import Constraint, broken
from ferhpo.space.config import TrialConfig
from ferhpo.study.attrs import COPIED_AT, COPIED_FROM, REPEATS, VOID
from ferhpo.study.quantities import known


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A trial, for reading.

    Args:
        number: Optuna's, from 0.
        state: one of STATES, or INTERRUPTED: a trial that is RUNNING in the database while no search runs.
        value: the metric after the last epoch (or the restored one); None before the end of the trial.
        params: the sampled parameters.
        values: the metric after each epoch, by epoch from 1.
        checkpoint: the kept epoch folder, None if it was deleted or never was.
        attrs: seconds, images_per_second, parameters, seed, host, versions, error, figures, costs, history ...
        started: when the trial was last begun or gone on with.
        ended: when it ended.
        objectives: every objective at the end, by name, as far as it is known.
        feasible: it broke no constraint as far as samplers are told: costs always count, figures only of COMPLETE
            trials. The attribute ``broken`` says which.
        within: it was not PRUNED with figures that break a constraint, though they might have kept it in the end.
    """

    number: int
    state: str
    value: float | None
    params: Mapping[str, Any]
    values: Mapping[int, float]
    checkpoint: Path | None
    attrs: Mapping[str, Any]
    started: datetime | None
    ended: datetime | None
    objectives: Mapping[str, float] = field(default_factory=dict)
    feasible: bool = True
    within: bool = True

    @property
    def eligible(self) -> bool:
        """Tell whether the trial may be best, and a member: it is not known to break a constraint."""
        return self.feasible and self.within

    @property
    def config(self) -> TrialConfig | None:
        """The whole configuration, checked anew each time; None before the trial was first started."""
        return TrialConfig.from_params(self.attrs["config"]) if "config" in self.attrs else None

    @property
    def counts(self) -> bool:
        """Tell whether the trial counts towards ``--trials``: it ended and was not queued again."""
        return counts(self.attrs, ended=self.state in {"COMPLETE", "PRUNED", "FAIL"})

    @property
    def repeats(self) -> bool:
        """Tell whether the trial is none of the search's but trains another one's configuration again."""
        return REPEATS in self.attrs

    @property
    def copied_from(self) -> int | None:
        """Number of the trial whose training this one took over, see `copies`; None for one that began by itself."""
        return self.attrs.get(COPIED_FROM)

    @property
    def inherited(self) -> int:
        """Epochs at the beginning that another trial was trained for, see `copies`."""
        return self.attrs.get(COPIED_AT, 0)

    @property
    def origin(self) -> str:
        """Say what a trial has of another one: its configuration, or its training up to some epoch; else nothing."""
        if self.repeats:
            return f"again {self.attrs[REPEATS]}"
        return "" if self.copied_from is None else f"copy of {self.copied_from} after {self.inherited}"


def counts(attrs: Mapping[str, Any], *, ended: bool) -> bool:
    """Tell whether a trial with these attributes counts towards ``--trials``: the one rule, for readers and writers."""
    return ended and not attrs.get(VOID) and REPEATS not in attrs


def read_trial(
    t: FrozenTrial,
    folder: Path | None,
    names: Sequence[str],
    metric: str,
    *,
    orphaned: bool,
    constraints: Sequence[Constraint] = (),
) -> Trial:
    """Return a trial of the database.

    Args:
        t: Optuna's.
        folder: the study's, None where the trial has no files.
        names: of its objectives.
        metric: the one that trials are ranked by.
        orphaned: no search runs, so that a trial that is RUNNING was interrupted.
        constraints: the study's.
    """
    kept = t.user_attrs.get("checkpoint")
    checkpoint = folder / kept if folder and kept else None
    objectives = _objectives(t, names, metric)
    stopped = constraints and t.state == TrialState.PRUNED
    return Trial(
        number=t.number,
        state="INTERRUPTED" if orphaned and t.state == TrialState.RUNNING else t.state.name,
        value=objectives.get(metric),
        objectives=objectives,
        feasible=all(excess <= 0 for excess in t.constraints.values()),
        within=not stopped or broken(constraints, known(t.user_attrs) | objectives, whole=True) is None,
        params=t.params,
        values=t.intermediate_values,
        checkpoint=checkpoint if checkpoint and checkpoint.is_dir() else None,
        attrs=t.user_attrs,
        started=t.datetime_start,
        ended=t.datetime_complete,
    )


def _objectives(t: FrozenTrial, names: Sequence[str], metric: str) -> dict[str, float]:
    """Return what is known of an ended trial's objectives; Optuna keeps no values of a PRUNED one of several."""
    if not t.state.is_finished():
        return {}
    if t.values is not None:
        return dict(zip(names, t.values, strict=True))
    if len(names) == 1 or t.state != TrialState.PRUNED:
        return {}
    found, last = known(t.user_attrs), max(t.intermediate_values, default=None)
    value = {} if last is None else {metric: t.intermediate_values[last]}
    return {name: found[name] for name in names if name in found} | value
