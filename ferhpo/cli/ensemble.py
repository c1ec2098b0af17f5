"""`ferhpo ensemble`: combine the best trials, and say what it is worth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferhpo.cli.options import (
    ROOT,
    DataOption,
    Format,
    FormatOption,
    RootOption,
    StorageOption,
    StudyOption,
    TestOption,
    command_line,
    remember_ensemble,
)
from ferhpo.cli.output import print_json, print_table, say
from ferhpo.cli.study import open_study

if TYPE_CHECKING:
    from ferhpo.ensemble.build import EnsembleReport


def ensemble(
    *,
    study: StudyOption = None,
    top: Annotated[int, typer.Option(help="How many of the best trials to combine.")] = 5,
    method: Annotated[str, typer.Option(help="auto, uniform, majority, weighted, greedy or logistic.")] = "auto",
    test: TestOption = False,
    data: DataOption = None,
    storage: StorageOption = None,
    root: RootOption = ROOT,
    output: FormatOption = Format.table,
) -> None:
    """Combine the best trials of a study into one predictor and set it beside the best single trial.

    Methods are scored by cross-fitting over the validation rows; the test split stays sealed without --test.
    """
    from ferhpo.ensemble.build import build
    from ferhpo.search.runner import settled_study
    from ferhpo.study.source import open_data

    opened = open_study(study, root, storage)
    if test:
        opened = settled_study(opened.spec, opened.data, root, storage)
    prepared = open_data(opened.spec, root / ".cache", given=data, record=opened.data) if test else None
    report = build(opened, top=top, method=method, data=prepared, open_test=test, command=command_line())
    remember_ensemble(report.folder, root)
    if output is Format.json:
        print_json(report.to_json())
    else:
        show(report)
    say(f"written to {_near(report.folder)}; `ferhpo predict face.png` uses it")


def show(report: "EnsembleReport") -> None:
    """Print members and methods side by side."""
    members = zip(report.numbers, report.weights, strict=True)
    print_table(
        ("member", "weight"),
        [(f"trial {number}", weight) for number, weight in members],
        title=f"ensemble: {report.method}",
    )
    rows = [(f"best single (trial {report.best_number})", report.best_val)]
    rows += [(f"{name} *" if name == report.method else name, figures) for name, figures in report.candidates.items()]
    columns = ("accuracy", "balanced_accuracy", "macro_f1", "nll", "ece")
    head = ("", "accuracy", "95 % interval", "balanced", "macro F1", "NLL", "ECE")
    body = [(name, f["accuracy"], "{:.3f}-{:.3f}".format(*f["ci95"]), *(f[c] for c in columns[1:])) for name, f in rows]
    print_table(head, body, title=f"validation, cross-fitted, {report.n_val} rows")
    if report.test is None:
        say(
            "test split: sealed; --test opens it"
            + (f" (opened {report.test_openings} times so far)" if report.test_openings else "")
        )
        return
    rows = [
        (f"best single (trial {report.best_number})", report.test.best_single),
        (f"ensemble: {report.method}", report.test.ensemble),
    ]
    body = [(name, f["accuracy"], "{:.3f}-{:.3f}".format(*f["ci95"]), *(f[c] for c in columns[1:])) for name, f in rows]
    times, p = report.test_openings, report.test.mcnemar_p
    print_table(head, body, title=f"test, {report.test.n} rows, opened {times} times; McNemar p = {p:.3g}")


def _near(folder: Path) -> str:
    try:
        return str(folder.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
