"""What may change in a study file between two runs of one study."""

from collections.abc import Mapping
from dataclasses import replace

from optuna.distributions import BaseDistribution, CategoricalDistribution, check_distribution_compatibility

from ferhpo.space.dimension import Dimension
from ferhpo.space.spec import StudySpec


def check_compatible(old: StudySpec, new: StudySpec, stored: Mapping[str, BaseDistribution]) -> None:
    """Refuse a changed study file whose trials could not stand beside the old ones.

    Trials, time, failures, sampler, scheduler, defaults, fixed settings, numeric ranges and choices may change. Data,
    split, metric, epochs and trial_time may not, since values would not be comparable, nor may constraints, whose
    verdict on an ended trial Optuna lets nobody change, nor may a range become a choice or logarithmic, which it could
    not store under the same name.

    Args:
        old: the study file of the last run.
        new: the study file of this one.
        stored: what the study's trials drew from, by parameter, whichever run it was in.

    Raises:
        SpecError: something changed that needs a new study name.
    """
    changes = {
        ("metric",): old.objectives != new.objectives,
        ("constraints",): old.constraints != new.constraints,
        ("data",): replace(old.data, path=None) != replace(new.data, path=None),
        ("budget", "epochs"): old.budget.epochs != new.budget.epochs,
        ("budget", "trial_time"): old.budget.trial_time != new.budget.trial_time,
    }
    for keys, changed in changes.items():
        if changed:
            what = " in ".join([keys[-1], *(f"[{section}]" for section in keys[:-1])])
            msg = (
                f"a study keeps its {what}, which changed since the first run; copy the study file to a new "
                "name to search with it"
            )
            raise new.error(msg, *keys)
    for dimension in new.space.dimensions:
        if dimension.name in stored:
            _check_dimension(new, dimension, stored[dimension.name])


def _check_dimension(spec: StudySpec, dimension: Dimension, stored: BaseDistribution) -> None:
    drawn_from = dimension.distribution()
    if isinstance(stored, CategoricalDistribution) and isinstance(drawn_from, CategoricalDistribution):
        return  # see `choices`
    try:
        check_distribution_compatibility(stored, drawn_from)
    except ValueError:
        msg = (
            f"a study keeps the kind of range of {dimension.name}, which changed since it was searched; "
            "copy the study file to a new name to search with it"
        )
        raise spec.error(msg, "space", dimension.name) from None
