"""The two studies that a comparison makes of a system's study file: as it was described, and searched from there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ferhpo.space.config import RUN_SETTINGS, TrialConfig
from ferhpo.space.dimension import Dimension
from ferhpo.space.render import render
from ferhpo.space.sections import BudgetSpec, DataSpec, SamplerSpec, SchedulerSpec
from ferhpo.space.space import Space, applies
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.space.tries import Try

if TYPE_CHECKING:
    from ferhpo.data.cache import Prepared

SYSTEMS = (
    "ensemble_cnn",
    "resnet_affectnet",
    "shallow",
    "improved",
    "deep",
    "resnet50_frozen",
    "cbam",
    "mobilenetv2_finetuned",
    "advice",
)
PASSES = 8  # over the training rows that a trial should have at least, before the time holds more trials
ROUNDS = 8  # of trials at most, one after the other
STARTUP = 4  # random trials before the sampler's model is used: a comparison has few
NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a search spends its time.

    Args:
        trials: in all.
        seconds: of each.
        width: channels of the first stage that fit the time, None where a net has no width to choose.
    """

    trials: int
    seconds: float
    width: int | None


def reproduced(spec: StudySpec, minutes: float, *, changes: Mapping[str, Any] = NONE) -> StudySpec:
    """Return a study of one trial: the defaults of ``spec``, its training limited to a time.

    Args:
        spec: the system's.
        minutes: of the training.
        changes: settings that differ from the description: image size, where weights come from.
    """
    params = spec.space.default_config().with_params(changes).params()
    fixed = {name: value for name, value in params.items() if name not in RUN_SETTINGS and value is not None}
    return _made(
        spec,
        "reproduced",
        f"as described, {minutes:g} minutes",
        space=Space(fixed=fixed),
        budget=BudgetSpec(epochs=spec.budget.epochs, trials=1, trial_time=_duration(60 * minutes)),
        sampler=SamplerSpec(name="random"),
        tries=(),
    )


def searched(spec: StudySpec, minutes: float, plan: Plan, *, changes: Mapping[str, Any] = NONE) -> StudySpec:
    """Return a study that searches the space of ``spec`` for a time.

    It begins where the study file's first `[[try]]` is (its defaults are what `reproduced` runs), and leaves out widths
    that do not fit the time.

    Args:
        spec: the system's.
        minutes: of the whole search.
        plan: how they are spent.
        changes: as of `reproduced`; none of them is searched.
    """
    tries = _tries(spec, changes)
    first = tries[0] if tries else {}
    space = spec.space
    dimensions = [_begun(d, first, plan.width) for d in space.dimensions if d.name not in changes]
    made = Space(dimensions=tuple(dimensions), fixed=dict(space.fixed) | dict(changes))
    rest = [{k: v for k, v in t.items() if k != "width" or plan.width is None} for t in tries[1:]]
    return _made(
        spec,
        "searched",
        f"searched for {minutes:g} minutes",
        space=made,
        budget=BudgetSpec(epochs=spec.budget.epochs, trials=plan.trials, trial_time=_duration(plan.seconds)),
        sampler=SamplerSpec(name="tpe", startup=STARTUP),
        tries=tuple(_points(made, rest)),
    )


def start(spec: StudySpec, changes: Mapping[str, Any] = NONE) -> TrialConfig:
    """Return the configuration that `searched` begins with, but for its width."""
    tries = _tries(spec, changes)
    return spec.space.default_config().with_params({**(tries[0] if tries else {}), **changes})


def plan(
    spec: StudySpec, data: "Prepared", minutes: float, *, changes: Mapping[str, Any], device: str, at_a_time: int
) -> Plan:
    """Return how a search of some minutes is best spent on this machine, by timing a few steps.

    The width is the widest that still sees the images often
    enough in the whole time; a trial is shortened, so that more fit, while it sees them `PASSES` times.

    Args:
        spec: the system's.
        data: its train rows count.
        minutes: of the whole search.
        changes: as of `searched`.
        device: cpu or cuda.
        at_a_time: trials that share the machine.
    """
    from ferhpo.training.width import fit, images_per_second, offered

    config, whole = start(spec, changes), 60 * minutes
    searched = next((d for d in spec.space.dimensions if d.name == "width" and d.name not in changes), None)
    width = None
    if searched is not None and applies(searched, config.params()):
        width = fit(config, data, offered(searched), device=device, seconds=whole / at_a_time).width
        config = config.with_params({"width": width})
    rate = images_per_second(config, data, device) / at_a_time
    passes = whole * rate / len(data.part("train").rows)
    rounds = max(1, min(ROUNDS, int(passes / PASSES)))
    return Plan(trials=rounds * at_a_time, seconds=whole / rounds, width=width)


def _made(spec: StudySpec, kind: str, how: str, **parts: Any) -> StudySpec:
    """Return a study under its own name, read back from its text, which is what its database keeps.

    Without defaults that have no effect, which no user wrote down.
    """
    wanted = replace(spec, description=f"{spec.description}; {how}", scheduler=SchedulerSpec(name="none"), **parts)
    idle, usual = wanted.space.idle, TrialConfig().params()
    fixed = {k: v for k, v in wanted.space.fixed.items() if k not in idle or v != usual[k]}
    wanted = replace(wanted, space=replace(wanted.space, fixed=fixed))
    name = f"{spec.name}-{kind}"
    return parse_spec(render(wanted), name=name, path=f"study '{name}' of a comparison")


def _duration(seconds: float) -> str:
    return f"{seconds:.3f}s"


def _tries(spec: StudySpec, changes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the study file's tries as far as they are searched; one that is nothing else is left out."""
    found = [{k: v for k, v in one.given.items() if k not in changes} for one in spec.tries]
    return [given for given in found if given]


def _points(space: Space, tries: list[dict[str, Any]]) -> list[Try]:
    """Return the tries as points of a space, without what has no say there, as where no pretrained base is frozen."""
    by_name = {d.name: d for d in space.dimensions}
    usual = TrialConfig().params() | {d.name: d.default for d in space.dimensions} | dict(space.fixed)
    found = []
    for one in tries:
        settings = usual | one
        given = {k: v for k, v in one.items() if k in by_name and applies(by_name[k], settings)}
        if given:
            found.append(Try(given=given, params=space.point(given)))
    return found


def _begun(dimension: Dimension, first: Mapping[str, Any], width: int | None) -> Dimension:
    """Return a dimension whose default is where the search begins; of the width, what fits the time."""
    if dimension.name != "width" or width is None:
        return replace(dimension, default=first.get(dimension.name, dimension.default))
    if dimension.choices:
        return replace(dimension, choices=tuple(w for w in dimension.choices if w <= width), default=width)
    low, high = dimension.low or width, min(width, dimension.high or width)
    if low >= high:
        return replace(dimension, low=None, high=None, log=False, step=None, choices=(width,), default=width)
    return replace(dimension, high=high, default=width)


def resized(data: DataSpec, image_size: int | None) -> DataSpec:
    """Return data that are kept no larger than nets will see them."""
    return data if image_size is None else replace(data, size=min(data.size, image_size))
