"""What may change in a study file between two runs of one study."""

from dataclasses import replace

from ferhpo.errors import SpecError
from ferhpo.space.space import Dimension
from ferhpo.space.spec import StudySpec


def check_compatible(old: StudySpec, new: StudySpec) -> None:
    """Refuse a changed study file whose trials could not stand beside the old ones.

    Trials, time, failures, sampler, scheduler, defaults, fixed settings and numeric ranges may change. Data, split,
    metric, epochs and
    choices may not: their values would not be comparable, or Optuna could not store them under the same name.

    Args:
        old: the study file of the last run.
        new: the study file of this one.

    Raises:
        SpecError: something changed that needs a new study name.
    """
    changes = {
        "metric": old.metric != new.metric,
        "data": replace(old.data, path=None) != replace(new.data, path=None),
        "budget": old.budget.epochs != new.budget.epochs,
    }
    for section, changed in changes.items():
        if changed:
            what = "epochs in [budget]" if section == "budget" else section
            msg = (
                f"a study keeps its {what}, which changed since the first run; copy the study file to a new "
                "name to search with it"
            )
            raise new.error(msg, section)
    before = {d.name: d for d in old.space.dimensions}
    for dimension in new.space.dimensions:
        if dimension.name in before and _kind(before[dimension.name]) != _kind(dimension):
            raise _changed(new, dimension)


def _kind(dimension: Dimension) -> tuple[object, ...]:
    return (dimension.choices, dimension.log, dimension.step) if not dimension.choices else (dimension.choices,)


def _changed(spec: StudySpec, dimension: Dimension) -> SpecError:
    msg = (
        f"a study keeps the choices and the kind of range of {dimension.name}, which changed since the first run; "
        "copy the study file to a new name to search with it"
    )
    return spec.error(msg, "space", dimension.name)
