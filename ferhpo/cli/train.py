"""`ferhpo train`: one configuration, without Ray."""

from collections import Counter
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ferhpo import _layout
from ferhpo.cli.opened import opened_test
from ferhpo.cli.options import (
    DataOption,
    DeviceOption,
    EpochsOption,
    Format,
    FormatOption,
    MinutesOption,
    RootOption,
    SetOption,
    StudyOption,
    TestOption,
    chosen,
    device_of,
    remember,
    replaceable,
)
from ferhpo.cli.output import cell, print_facts, print_json, say
from ferhpo.errors import UsageError
from ferhpo.study.find import ROOT, find_spec

CHECKPOINT = (_layout.CARD, _layout.WEIGHTS, _layout.PROBABILITIES)

if TYPE_CHECKING:
    from ferhpo.data.cache import Prepared
    from ferhpo.space.config import TrialConfig
    from ferhpo.space.spec import StudySpec
    from ferhpo.study.study import Study
    from ferhpo.training.result import EpochResult


def train(
    *,
    study: StudyOption = None,
    data: DataOption = None,
    set_: SetOption = None,
    minutes: MinutesOption = None,
    epochs: EpochsOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the checkpoint.", show_default="train/ in the study's folder")
    ] = None,
    test: TestOption = False,
    device: DeviceOption = None,
    root: RootOption = ROOT,
    output: FormatOption = Format.table,
) -> None:
    """Train the study's default configuration, changed by --set, and keep its checkpoint.

    With --minutes, a study that searches over width trains the width that fits the time on this machine, unless --set
    names one.
    """
    named = chosen(study, root)
    spec = find_spec(named, root)
    config = configure(spec, set_ or [], epochs=epochs, minutes=minutes)
    target, place = replaceable(out or root / spec.name / "train", CHECKPOINT, "a checkpoint"), device_of(device)
    from ferhpo.data.summary import in_one_line
    from ferhpo.metrics import metric
    from ferhpo.space.config import SETTINGS
    from ferhpo.study.source import data_record, open_data, recorded_data

    for name in spec.space.fixed:
        if not SETTINGS[name].matters(config.params()):
            say(f"{name} of the study file has no effect beside the other settings")
    prepared = open_data(spec, _layout.cache(root), given=data, record=recorded_data(root, spec.name))
    say(in_one_line(prepared))
    opened = None
    if test:  # what may not be opened is refused before the training
        from ferhpo.ensemble.build import sealed_data
        from ferhpo.search.runner import settled_study

        opened = settled_study(spec, data_record(prepared), root)
        sealed_data(opened, prepared)
    remember(named, root)
    from ferhpo.training.single import train_single

    if minutes is not None and "width" not in {text.partition("=")[0] for text in set_ or []}:
        config = fitted(spec, config, prepared, place, 60 * minutes)
    result, spent = train_single(
        config,
        prepared,
        target,
        metric=metric(spec.metric),
        device=place,
        seconds=None if minutes is None else 60 * minutes,
        provenance={"study": spec.name, "split": prepared.split_digest},
        watch=lambda r: say(f"epoch {r.epoch}: {spec.metric} {cell(r.figures[spec.metric])} ({r.seconds:.1f} s)"),
    )
    scores = open_test(opened, prepared, target, place) if opened else None
    show(summary(result, spent, target, scores) | {"config": config.params()}, output)


def configure(spec: "StudySpec", assignments: list[str], *, epochs: int | None, minutes: float | None) -> "TrialConfig":
    """Return the study's default configuration with what the command line changes.

    Raises:
        UsageError: a setting is unknown or not allowed, or both budgets are given.
    """
    from ferhpo.cli.assignments import parse_assignment
    from ferhpo.models.registry import check
    from ferhpo.space.config import SETTINGS
    from ferhpo.space.files import in_tables

    if minutes is not None and epochs is not None:
        msg = f"give --epochs or --minutes, not both, got {epochs} and {minutes:g}"
        raise UsageError(msg)
    if minutes is not None and not 0 < minutes < inf:
        msg = f"--minutes must be a number above 0, got {minutes:g}"
        raise UsageError(msg)
    given = {"epochs": spec.budget.epochs if epochs is None else epochs, "seed": spec.seed}
    pairs = list(map(parse_assignment, assignments))
    twice = next((name for name, n in Counter(name for name, _ in pairs).items() if n > 1), None)
    if twice:
        msg = f"--set takes each setting once, got {twice} more than once; leave one out"
        raise UsageError(msg)
    changes = in_tables(dict(pairs), Path())  # a path is seen from here
    if "epochs" in changes and (epochs is not None or minutes is not None):
        msg = "a training has one budget, got epochs in --set beside --epochs or --minutes; leave one out"
        raise UsageError(msg)
    config = spec.space.default_config().with_params(given | changes)
    check(config.arch)
    settings = config.params()
    for name in changes:
        if not SETTINGS[name].matters(settings):
            msg = f"a setting of --set must have an effect, got {name}, which has none beside the others; leave it out"
            raise UsageError(msg)
    return config


def fitted(
    spec: "StudySpec", config: "TrialConfig", prepared: "Prepared", device: str, seconds: float
) -> "TrialConfig":
    """Return the configuration with the width that fits a time budget, where the study searches over this net's."""
    from ferhpo.space.space import applies

    searched = next((d for d in spec.space.dimensions if d.name == "width"), None)
    if searched is None or not applies(searched, config.params()):
        return config
    from ferhpo.training.width import fit, offered

    found = fit(config, prepared, offered(searched), device=device, seconds=seconds)
    say(str(found))
    return config.with_params({"width": found.width})


def open_test(study: "Study", prepared: "Prepared", checkpoint: Path, device: str) -> dict[str, Any]:
    """Open the sealed test split for one checkpoint: first recorded in the study, then scored."""
    from ferhpo.ensemble.infer import member_probabilities
    from ferhpo.scoring import scored

    part, _ = opened_test(study, prepared)
    return scored(member_probabilities([checkpoint], part, device)[0], part.labels, part.groups)


def summary(result: "EpochResult", spent: float, checkpoint: Path, test: dict[str, Any] | None) -> dict[str, Any]:
    """Return what ``--format json`` prints."""
    return {
        "epochs": result.epoch,
        "seconds": spent,
        "val": result.figures,
        "test": test,
        "checkpoint": str(checkpoint.resolve()),
        "images_per_second": result.images_per_second,
        **result.details,
    }


def show(found: dict[str, Any], output: Format) -> None:
    """Print the summary."""
    if output is Format.json:
        print_json(found)
        return
    facts: list[tuple[str, object]] = [
        (k, found[k]) for k in ("epochs", "seconds", "parameters", "precision", "checkpoint")
    ]
    facts += [(f"val {name}", value) for name, value in found["val"].items()]
    facts += [(f"test {name}", value) for name, value in (found["test"] or {}).items()]
    print_facts(facts)
