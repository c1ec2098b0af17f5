"""`ferhpo search`: run trials; run it again to go on."""

from math import inf
from pathlib import Path
from typing import Annotated

import typer

from ferhpo.cli.options import (
    ROOT,
    DataOption,
    Format,
    FormatOption,
    RootOption,
    StorageOption,
    StudyOption,
    chosen,
    find_spec,
    name_of,
    remember,
)
from ferhpo.cli.output import say
from ferhpo.errors import SearchError, UsageError

TrialsOption = Annotated[
    int | None,
    typer.Option("--trials", "-n", help="The study's total, earlier runs included.", show_default="the study file's"),
]
TimeoutOption = Annotated[
    str | None,
    typer.Option(
        "--timeout", help="Wall time of this run, like 90s, 30m or 2h.", show_default="the study file's, else none"
    ),
]


def search(
    *,
    study: StudyOption = None,
    data: DataOption = None,
    trials: TrialsOption = None,
    timeout: TimeoutOption = None,
    storage: StorageOption = None,
    cpus_per_trial: Annotated[
        int | None,
        typer.Option(help="CPUs of one trial.", show_default="measured; a quarter of the machine where it was not"),
    ] = None,
    gpus_per_trial: Annotated[
        float | None,
        typer.Option(
            help="GPUs of one trial; 0.25 puts four on one.",
            show_default="measured; 1 where there is one and it was not",
        ),
    ] = None,
    concurrency: Annotated[int | None, typer.Option(help="Trials at a time.", show_default="what fits")] = None,
    address: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster.", show_default="this machine alone")
    ] = None,
    max_failures: Annotated[
        int | None, typer.Option(help="Failed trials in a row before giving up.", show_default="the study file's")
    ] = None,
    epochs_total: Annotated[
        int | None, typer.Option(help="Epochs of all trials together, earlier runs included.", show_default="no limit")
    ] = None,
    device_seconds: Annotated[
        float | None,
        typer.Option(
            help="Seconds of training, summed over all trials, earlier runs included.", show_default="no limit"
        ),
    ] = None,
    stop_when_flat: Annotated[
        float | None,
        typer.Option(
            help="End once the trials left are expected to improve the metric by less than this, like 0.001.",
            show_default="never",
        ),
    ] = None,
    enqueue: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml", help="Run the [[try]] tables of this file first, each once.", show_default="none"
        ),
    ] = None,
    from_study: Annotated[
        str | None,
        typer.Option(
            metavar="STUDY",
            help="Learn from this study's trials too; they stay its own.",
            show_default="none",
        ),
    ] = None,
    root: RootOption = ROOT,
    output: FormatOption = Format.table,
) -> int:
    """Search a study: try configurations, keep every result, go on where an earlier run ended.

    Ctrl-C ends the running epochs first; the same command goes on from there.
    """
    from ferhpo.cli.live import watching
    from ferhpo.cli.study import show_study
    from ferhpo.search.prior import records
    from ferhpo.search.runner import search as run
    from ferhpo.search.session import Limits
    from ferhpo.search.workers import Workers
    from ferhpo.space.spec import seconds
    from ferhpo.space.tries import read_tries
    from ferhpo.study.source import open_data
    from ferhpo.study.study import Study, recorded_data

    named = chosen(study, root)
    spec = find_spec(named, root)
    for option, value in (("--trials", trials), ("--max-failures", max_failures), ("--epochs-total", epochs_total)):
        if value is not None and value < 1:
            msg = f"{option} must be at least 1, got {value}"
            raise UsageError(msg)
    for option, value in (("--device-seconds", device_seconds), ("--stop-when-flat", stop_when_flat)):
        if value is not None and not 0 < value < inf:
            msg = f"{option} must be a number above 0, got {value}"
            raise UsageError(msg)
    limit = spec.budget.timeout if timeout is None else timeout
    limits = Limits(
        trials=trials or spec.budget.trials,
        seconds=None if limit is None else seconds(limit),
        max_failures=max_failures or spec.budget.max_failures,
        epochs=epochs_total,
        device_seconds=device_seconds,
        flat=stop_when_flat,
    )
    tries = read_tries(enqueue, spec.space) if enqueue else ()
    other = Study.open(root, name_of(from_study)) if from_study else None
    prior = {other.name: records(other, spec)} if other else {}
    workers = Workers(cpus=cpus_per_trial, gpus=gpus_per_trial, concurrency=concurrency, address=address)
    prepared = open_data(spec, root / ".cache", given=data, record=recorded_data(root, spec.name, storage))
    say(describe(prepared))
    remember(named, root)
    with watching(root / spec.name / "logs" / "search.log") as emit:
        outcome = run(
            spec, prepared, root, emit=emit, limits=limits, storage=storage, workers=workers, tries=tries, prior=prior
        )
    show_study(outcome.study, output)
    if outcome.interrupted:
        say(f"interrupted with {outcome.done} of {limits.trials} trials; the same command goes on")
        return 130
    if outcome.gave_up or (outcome.done and outcome.study.best() is None):
        got = "too many failed in a row" if outcome.gave_up else "none did"
        msg = f"a search needs a trial that works, and {got}; see `ferhpo study show`"
        raise SearchError(msg)
    say(closing(outcome.done, limits.trials, reached=outcome.reached, nothing_new=outcome.new == 0))
    return 0


def closing(done: int, trials: int, *, reached: bool, nothing_new: bool) -> str:
    """Return the last line of a search."""
    if reached and nothing_new:
        return f"the study has its {done} trials already; a larger --trials goes on"
    return f"{done} of {trials} trials done" + ("" if reached else "; the same command goes on")


def describe(prepared: object) -> str:
    """Return one line about the data: source, rows per split, what was dropped."""
    from ferhpo.data.cache import Prepared

    assert isinstance(prepared, Prepared)
    rows = ", ".join(f"{name} {sum(counts.values())}" for name, counts in prepared.counts.items())
    reasons = {
        "train_in_val": "training images also in validation",
        "train_in_test": "training images also in test",
        "val_in_test": "validation images also in test",
        "train_near_val": "training images nearly in validation",
        "train_near_test": "training images nearly in test",
        "val_near_test": "validation images nearly in test",
        "blank": "blank training images",
    }
    dropped = [f"{n} {reasons.get(key, key)}" for key, n in prepared.dropped.items() if n]
    source = Path(prepared.source).name if prepared.source else "rendered faces"
    return f"data: {source}: {rows}" + (f"; dropped {', '.join(dropped)}" if dropped else "")
