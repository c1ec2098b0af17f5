"""`ferhpo ensemble`: combine the best trials, and say what it is worth."""

from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferhpo import _layout
from ferhpo.cli.opened import images_of
from ferhpo.cli.options import (
    DataOption,
    DeviceOption,
    Format,
    FormatOption,
    RootOption,
    StorageOption,
    StudyOption,
    TestOption,
    command_line,
    device_of,
    remember_ensemble,
)
from ferhpo.cli.output import SCORES, print_json, print_table, say, score_row
from ferhpo.cli.study import open_study
from ferhpo.errors import UsageError
from ferhpo.study.find import ROOT

if TYPE_CHECKING:
    from ferhpo.ensemble.elsewhere import Elsewhere
    from ferhpo.ensemble.front import Point
    from ferhpo.ensemble.outcome import EnsembleReport

METHODS = ("uniform", "majority", "diverse", "weighted", "log_pool", "greedy", "bagged", "logistic_shared", "logistic")


def ensemble(
    *,
    study: StudyOption = None,
    top: Annotated[int, typer.Option(help="How many of the best trials to combine.")] = 5,
    method: Annotated[str, typer.Option(help=f"{', '.join(('auto', *METHODS))}.")] = "auto",
    max_members: Annotated[int | None, typer.Option(help="At most so many members.", show_default="no limit")] = None,
    max_params: Annotated[
        float | None, typer.Option(help="At most so many parameters in all members.", show_default="no limit")
    ] = None,
    max_latency_ms: Annotated[
        float | None,
        typer.Option(help="At most so many milliseconds an image on a CPU, measured.", show_default="no limit"),
    ] = None,
    calibrate: Annotated[bool, typer.Option(help="Fit a temperature to the combined probabilities.")] = True,
    tta: Annotated[
        str, typer.Option(help="Views to average over: own (as validated), none, flip (mirror image), shift.")
    ] = "own",
    soup: Annotated[
        bool, typer.Option("--soup", help="Try the mean weights of members that began alike as one more member.")
    ] = False,
    test: TestOption = False,
    on: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="With --test: open the test rows of this data set in place of the study's, over the common classes.",
            show_default="the study's own data",
        ),
    ] = None,
    data: DataOption = None,
    device: DeviceOption = None,
    storage: StorageOption = None,
    root: RootOption = ROOT,
    output: FormatOption = Format.table,
) -> None:
    """Combine the best trials of a study into one predictor and set it beside the best single trial.

    Methods are scored by cross-fitting over the validation rows; the test split stays sealed without --test.
    """
    from ferhpo.ensemble.build import build, recounted
    from ferhpo.ensemble.cost import Limits
    from ferhpo.ensemble.elsewhere import common_classes, evaluate_elsewhere
    from ferhpo.ensemble.infer import check_tta
    from ferhpo.search.runner import settled_study
    from ferhpo.study.source import open_other

    check_tta(tta)
    if on is not None and not test:
        msg = f"--on opens the test rows of {on}; give --test with it"
        raise UsageError(msg)
    looks = test or soup or tta != "own"
    place = device_of(device) if looks or device else "cpu"  # without them torch need not be imported
    opened = open_study(study, root, storage)
    if test:
        opened = settled_study(opened.spec, opened.data, root, storage)
    prepared = images_of(opened, root, data) if looks or data else None
    other = None
    if on is not None and prepared is not None:
        other = open_other(opened.spec, on, _layout.cache(root), prepared)
        common_classes(opened, other)
    report = build(
        opened,
        top=top,
        method=method,
        limits=Limits(latency_ms=max_latency_ms, parameters=max_params, members=max_members),
        calibrate=calibrate,
        tta=tta,
        soup=soup,
        data=prepared,
        device=place,
        open_test=test and other is None,
        command=command_line(),
    )
    remember_ensemble(report.folder, root)
    found = None
    if other is not None:
        assert prepared is not None
        found = evaluate_elsewhere(opened, report, prepared, other, command_line(), tta=tta, device=place)
        report = recounted(opened, report)
    if output is Format.json:
        print_json(report.to_json() | {"elsewhere": found.to_json() if found else None})
    else:
        show(report)
        if found is not None:
            show_elsewhere(report, found)
        elif report.test is None:
            so_far = f" (opened {report.test_openings} times so far)" if report.test_openings else ""
            say(f"test split: sealed; --test opens it{so_far}")
    for note in report.notes:
        say(f"note: {note}")
    say(f"written to {_near(report.folder)}; `ferhpo predict face.png` uses it")


def show(report: "EnsembleReport") -> None:
    """Print members and methods side by side, what less would cost, and the test split if it was opened."""
    members = zip(report.numbers, report.weights, strict=True)
    print_table(
        ("member", "weight"),
        [(f"trial {number}", weight) for number, weight in members],
        title=f"ensemble: {report.method}",
    )
    single = f"best single (trial {report.best_number})"
    rows = [(single, report.best_val)]
    rows += [(f"{name} *" if name == report.method else name, figures) for name, figures in report.candidates.items()]
    print_table(
        SCORES,
        starmap(score_row, rows),
        title=f"validation, cross-fitted, {report.n_val} rows, which also ranked the trials",
    )
    priced = [_priced(point) for point in report.front if point.best or point.kind == "chosen"]
    heads = ("", "trials", report.metric.replace("_", " "), "parameters", "ms an image")
    shown = len(heads) - all(latency is None for *_, latency in priced)  # measured where a limit asks for it
    print_table(
        heads[:shown],
        [row[:shown] for row in priced],
        title="by cost: the Pareto front on the validation rows, and the ensemble in use",
    )
    say(_calibration(report))
    if report.test is None:
        return
    test = report.test
    rows = [(single, test.best_single), (f"ensemble: {report.method}", test.ensemble)]
    if test.without_copies:
        some = f"without {test.n - test.without_copies['n']} rows that have copies elsewhere"
        rows += [(f"{single}, {some}", test.without_copies["best_single"])]
        rows += [(f"ensemble, {some}", test.without_copies["ensemble"])]
    title = f"test, {test.n} rows, opened {report.test_openings} times; McNemar p = {test.mcnemar_p:.3g}"
    print_table(SCORES, starmap(score_row, rows), title=title)
    more = test.evaluation["ensemble"]
    interval = ""
    if more["bootstrap95"]:
        interval = "; macro F1 95 % by bootstrap {:.3f}-{:.3f}".format(*more["bootstrap95"]["macro_f1"])
    say(f"always naming the commonest class is right on {more['majority']:.4f}{interval}")


def show_elsewhere(report: "EnsembleReport", found: "Elsewhere") -> None:
    """Print what another data set's test rows say."""
    rows = [(f"best single (trial {report.best_number})", found.best_single)]
    rows += [(f"ensemble: {report.method}", found.ensemble)]
    left = f"; left out {found.other_classes} of other classes, {found.seen} that the study has seen"
    name = Path(found.source).name if found.source else "rendered faces"
    rows_of = f"test rows of {name}, {found.n} of {len(found.classes)} common classes"
    title = f"{rows_of}{left}; McNemar p = {found.mcnemar_p:.3g}"
    print_table(SCORES, starmap(score_row, rows), title=title)
    if found.sealed:
        say(
            f"{found.sealed} of these rows are test images of the study itself: its test split counts as opened, "
            f"{report.test_openings} times so far"
        )


def _priced(point: "Point") -> tuple[object, ...]:
    name = f"{point.name} (in use)" if point.kind == "chosen" else point.name
    parameters, latency = point.costs["parameters"], point.costs["latency_ms"]
    numbers = " ".join(map(str, point.numbers))
    return name, numbers, point.value, None if parameters is None else f"{parameters:,.0f}", latency


def _calibration(report: "EnsembleReport") -> str:
    found = report.calibration
    if found.skipped:
        return f"no temperature: {found.skipped}"
    change = ", ".join(f"{key.upper()} {found.before[key]:.4f} -> {found.after[key]:.4f}" for key in ("nll", "ece"))
    return f"temperature {found.temperature:.3f} after pooling: {change} (validation, cross-fitted)"


def _near(folder: Path) -> str:
    try:
        return str(folder.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
