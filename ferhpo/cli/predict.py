"""`ferhpo predict`: use an ensemble on pictures."""

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ferhpo.cli.opened import find_ensemble
from ferhpo.cli.options import EnsembleOption, EnsembleStudyOption, RootOption, device_of
from ferhpo.cli.output import cell, print_json, print_table, say
from ferhpo.errors import UsageError
from ferhpo.study.find import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from ferhpo.ensemble.infer import Ensemble

BATCH = 256  # files read before the nets see them
COLUMNS = 12  # of classes in a table; of more classes it shows
LIKELIEST = 5


class Listing(StrEnum):
    """How a list of results is printed."""

    table = "table"
    json = "json"
    csv = "csv"


def predict(
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders that hold some.", show_default=False)],
    *,
    ensemble: EnsembleOption = None,
    study: EnsembleStudyOption = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1, where nets run.")] = "cpu",
    root: RootOption = ROOT,
    output: Annotated[
        Listing, typer.Option("--format", "-f", help="table for people, json or csv for programs.")
    ] = Listing.table,
) -> None:
    """Say which class each picture shows, with the probability of every class.

    Files that cannot be read are named on stderr and left out; the exit code is then 1.
    """
    from ferhpo.ensemble.pictures import find

    if ensemble is not None and study is not None:
        msg = f"pictures are labelled by one ensemble, got --ensemble {ensemble} and --study {study}; leave one out"
        raise UsageError(msg)
    folder = find_ensemble(ensemble, study, root)
    say(f"ensemble: {folder}")
    paths = find(images)
    from ferhpo.ensemble.infer import Ensemble

    loaded = Ensemble.load(folder, device_of(device))
    failed: list[str] = []
    show(label(loaded, paths, failed), loaded.classes, output)
    for reason in failed:
        say(f"error: {reason}")
    if failed:
        raise typer.Exit(1)


def label(ensemble: "Ensemble", paths: Sequence[Path], failed: list[str]) -> Iterator[dict[str, Any]]:
    """Yield each readable picture's result; why others could not be read goes into ``failed``."""
    from ferhpo.ensemble.pictures import batches

    with progress(len(paths)) as advance:
        for read, images, errors in batches(paths, ensemble.preprocessing, BATCH):
            failed += map(str, errors)
            for path, probs in zip(read, ensemble.probabilities(images), strict=True):
                yield row(path, ensemble.classes, probs)
            advance(len(read) + len(errors))


def row(path: Path, classes: tuple[str, ...], probs: Any) -> dict[str, Any]:
    """Return one picture's result."""
    return {
        "path": str(path),
        "label": classes[int(probs.argmax())],
        "probabilities": {name: float(p) for name, p in zip(classes, probs, strict=True)},
    }


def show(found: Iterable[dict[str, Any]], classes: tuple[str, ...], output: Listing) -> None:
    """Print results; csv as they come, so that what is interrupted has printed what it knew."""
    if output is Listing.json:
        print_json(list(found))
    elif output is Listing.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("path", "label", *classes))
        for r in found:
            writer.writerow((r["path"], r["label"], *r["probabilities"].values()))
    else:
        wide = len(classes) <= COLUMNS
        rows = [
            (r["path"], r["label"], *(r["probabilities"].values() if wide else [likeliest(r["probabilities"])]))
            for r in found
        ]
        print_table(("image", "label", *(classes if wide else [f"{LIKELIEST} most probable"])), rows)


def likeliest(probabilities: Mapping[str, float]) -> str:
    """Return the most probable classes in one line.

    >>> likeliest({"cat": 0.25, "dog": 0.75})
    'dog 0.75, cat 0.25'
    """
    best = sorted(probabilities.items(), key=lambda pair: -pair[1])[:LIKELIEST]
    return ", ".join(f"{name} {cell(p)}" for name, p in best)


@contextmanager
def progress(total: int) -> "Iterator[Callable[[int], None]]":
    """Yield a function that moves a bar on by some files: on a terminal, if there is more than one batch."""
    if total <= BATCH or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("images", total=total)
        yield lambda files: bars.advance(task, files)
