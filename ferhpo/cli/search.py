"""`ferhpo search`: run trials; run it again to go on."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferhpo import _layout
from ferhpo.cli.options import (
    DataOption,
    Format,
    FormatOption,
    RootOption,
    StorageOption,
    StudyOption,
    chosen,
    remember,
)
from ferhpo.cli.output import say
from ferhpo.errors import SearchError
from ferhpo.study.find import ROOT, find_spec

if TYPE_CHECKING:
    from ferhpo.search.runner import Outcome

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
        typer.Option(
            help="CPUs of one trial.",
            show_default="measured, else a quarter of the machine, or a share for each of --concurrency",
        ),
    ] = None,
    gpus_per_trial: Annotated[
        float | None,
        typer.Option(
            help="GPUs of one trial; 0.25 puts four on one.",
            show_default="measured, else 1, or less where --concurrency puts several on one",
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

    Ctrl-C lets the running epochs end; the same command goes on from there.
    """
    from ferhpo.cli.live import watching
    from ferhpo.cli.study import show_study
    from ferhpo.search.api import search as run

    named = chosen(study, root)
    spec = find_spec(named, root, storage)
    with watching(root / spec.name / _layout.SEARCH_LOG, begun=partial(remember, named, root)) as emit:
        outcome = run(
            spec,
            data=data,
            root=root,
            storage=storage,
            enqueue=enqueue,
            from_study=from_study,
            emit=emit,
            trials=trials,
            timeout=timeout,
            max_failures=max_failures,
            epochs_total=epochs_total,
            device_seconds=device_seconds,
            stop_when_flat=stop_when_flat,
            confirm=confirm,
            seeds=seeds,
            cpus_per_trial=cpus_per_trial,
            gpus_per_trial=gpus_per_trial,
            concurrency=concurrency,
            address=address,
        )
    show_study(outcome.study, output)
    if outcome.interrupted and (confirm or not outcome.reached):
        say(f"interrupted with {outcome.done} of {outcome.trials} trials; the same command goes on")
        return 130
    if outcome.gave_up:
        more = "a larger --trials" if outcome.reached and not confirm else "the same command"
        msg = (
            "a search needs trials that work, and too many failed in a row; `ferhpo study show` has the errors, and "
            f"{more} goes on"
        )
        raise SearchError(msg)
    if outcome.done and outcome.study.best() is None:
        broke = any("broken" in trial.attrs for trial in outcome.study.trials())
        none = "none did and kept the constraints" if broke else "none did"
        msg = f"a search needs a trial that works, and {none}; see `ferhpo study show`"
        raise SearchError(msg)
    say(closing(outcome))
    return 0


def closing(outcome: "Outcome") -> str:
    """Return the last line of a search."""
    if outcome.reached and not outcome.new:
        more = "a grid with more points" if outcome.exhausted else "a larger --trials"
        return f"the study has its {outcome.done} trials already; {more} goes on"
    more = "the same command"
    if outcome.spent or outcome.flat:  # which would end at once
        more = "a larger limit" if outcome.spent else "a smaller --stop-when-flat"
    return f"{outcome.done} of {outcome.trials} trials done" + ("" if outcome.reached else f"; {more} goes on")
