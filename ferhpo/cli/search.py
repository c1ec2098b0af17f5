"""`ferhpo search`: run trials; run it again to go on."""

from pathlib import Path
from typing import Annotated

import typer

from ferhpo import _layout
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
    remember,
)
from ferhpo.cli.output import say
from ferhpo.errors import SearchError

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
        str | None,
        typer.Option(envvar="RAY_ADDRESS", help="Address of a Ray cluster.", show_default="this machine alone"),
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
    confirm: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Once the search is over, train the K best configurations again; --trials 0 does only that.",
            show_default="none",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(metavar="S", help="Seeds that --confirm trains each configuration with.", show_default="3"),
    ] = None,
    root: RootOption = ROOT,
    output: FormatOption = Format.table,
) -> int:
    """Search a study: try configurations, keep every result, go on where an earlier run ended.

    Ctrl-C ends the running epochs first; the same command goes on from there.
    """
    from ferhpo.cli.live import watching
    from ferhpo.cli.study import show_study
    from ferhpo.search.budget import limits_of
    from ferhpo.search.confirm import confirm_of
    from ferhpo.search.prior import of_study
    from ferhpo.search.runner import search as run
    from ferhpo.search.workers import Workers
    from ferhpo.space.tries import read_tries
    from ferhpo.study.source import open_data
    from ferhpo.study.study import recorded_data

    named = chosen(study, root)
    spec = find_spec(named, root)
    again = confirm_of(confirm, seeds)
    limits = limits_of(
        spec,
        none_too=again is not None,
        trials=trials,
        timeout=timeout,
        max_failures=max_failures,
        epochs_total=epochs_total,
        device_seconds=device_seconds,
        stop_when_flat=stop_when_flat,
    )
    tries = read_tries(enqueue, spec.space) if enqueue else ()
    prior = of_study(root, from_study, spec, storage)
    workers = Workers(cpus=cpus_per_trial, gpus=gpus_per_trial, concurrency=concurrency, address=address)
    prepared = open_data(spec, root / ".cache", given=data, record=recorded_data(root, spec.name, storage))
    say(describe(prepared))
    remember(named, root)
    with watching(root / spec.name / _layout.SEARCH_LOG) as emit:
        outcome = run(
            spec,
            prepared,
            root,
            emit=emit,
            limits=limits,
            storage=storage,
            workers=workers,
            tries=tries,
            prior=prior,
            confirm=again,
        )
    show_study(outcome.study, output)
    if outcome.interrupted:
        say(f"interrupted with {outcome.done} of {max(limits.trials, outcome.done)} trials; the same command goes on")
        return 130
    if outcome.gave_up or (outcome.done and outcome.study.best() is None):
        none = "none did" if not spec.constraints else "none did and kept the constraints"
        got = "too many failed in a row" if outcome.gave_up else none
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
