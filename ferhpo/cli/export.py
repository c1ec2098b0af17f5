"""`ferhpo export`: an ensemble as one ONNX file, or its model card."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferhpo import _layout
from ferhpo.cli.opened import find_ensemble, images_of, study_of
from ferhpo.cli.options import (
    DataOption,
    EnsembleOption,
    EnsembleStudyOption,
    Format,
    FormatOption,
    RootOption,
    StorageOption,
)
from ferhpo.cli.output import print_facts, print_json, say
from ferhpo.errors import UsageError
from ferhpo.study.find import ROOT

if TYPE_CHECKING:
    from ferhpo.export.onnx import Exported


def export(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="What to write.",
            show_default="model.onnx beside an ensemble, student.onnx beside a student; stdout for a card",
            dir_okay=False,
        ),
    ] = None,
    *,
    onnx: Annotated[bool, typer.Option("--onnx", help="One ONNX graph, from uint8 images to probabilities.")] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="The graph with int8 convolutions; the cost on validation rows is measured.")
    ] = False,
    card: Annotated[bool, typer.Option("--card", help="The model card, in Markdown.")] = False,
    ensemble: EnsembleOption = None,
    study: EnsembleStudyOption = None,
    data: DataOption = None,
    storage: StorageOption = None,
    root: RootOption = ROOT,
    output: FormatOption = Format.table,
) -> None:
    """Write an ensemble as one ONNX file, checked against torch, or its model card.

    --int8 needs the images of the ensemble's study.
    """
    if (onnx or int8) == card:
        got = "both" if card else "neither"
        msg = f"export writes either --onnx (with --int8 or without) or --card, got {got}; give one"
        raise UsageError(msg)
    if data is not None and not int8:
        msg = f"--data names the images that --int8 measures, got {data} without it; leave it out"
        raise UsageError(msg)
    if ensemble is not None and study is not None and not int8:
        msg = f"--study with --ensemble names the images that --int8 measures, got '{study}' without it; leave it out"
        raise UsageError(msg)
    folder = find_ensemble(ensemble, study, root)
    say(f"ensemble: {folder}")
    if card:
        write_card(folder, file, output)
        return
    target = file or default_target(folder, "-int8" if int8 else "")
    if int8:
        from ferhpo.export.int8 import export as export_int8

        made = export_int8(folder, target, images_of(study_of(folder, study, root, storage), root, data))
    else:
        from ferhpo.export.onnx import export as export_onnx

        made = export_onnx(folder, target)
    show(made, output)


def default_target(folder: Path, kind: str) -> Path:
    """Return where a graph lies without a name: a student's beside its ensemble's and not in its place."""
    there = folder.resolve()
    name = "model" if (there / _layout.INDEX).is_file() else there.name
    return there.with_name(f"{name}{kind}.onnx")


def write_card(folder: Path, file: Path | None, output: Format) -> None:
    """Write an ensemble's model card into a file, or print it."""
    from ferhpo._atomic import for_user, write_text
    from ferhpo.ensemble import artifact
    from ferhpo.ensemble.card import render

    stored = artifact.read(folder)
    text = render(stored, stored.cards())
    if file is not None:
        with for_user(file):
            write_text(file, text)
        say(f"written to {file}")
    if output is Format.json:
        print_json({"file": None if file is None else str(file), "card": text})
    elif file is None:
        typer.echo(text, nl=False)


def show(made: "Exported", output: Format) -> None:
    """Print what was written."""
    found = made.to_json()
    if output is Format.json:
        print_json(found)
        return
    cost = found.pop("int8") or {}
    if cost:
        found["float32 max_difference"] = found.pop("max_difference")
    print_facts([*found.items(), *((f"int8 {key}", value) for key, value in cost.items())])
