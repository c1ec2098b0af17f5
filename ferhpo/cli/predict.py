"""`ferhpo predict`: use an ensemble on pictures."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ferhpo.cli.options import ROOT, Format, FormatOption, RootOption, StudyOption, last_ensemble, name_of
from ferhpo.cli.output import print_json, print_table, say
from ferhpo.errors import StudyError


def predict(
    images: Annotated[list[Path], typer.Argument(help="Image files of faces.")],
    *,
    ensemble: Annotated[
        Path | None, typer.Option(help="Folder of an ensemble.", show_default="--study's, else the last one made here")
    ] = None,
    study: StudyOption = None,
    root: RootOption = ROOT,
    output: FormatOption = Format.table,
) -> None:
    """Say which class each picture shows, with the probability of every class."""
    folder = find_ensemble(ensemble, study, root)
    say(f"ensemble: {folder}")
    from ferhpo.ensemble.infer import load, read_images

    loaded = load(folder)
    found = [
        row(p, loaded.classes, probs)
        for p, probs in zip(images, loaded.predict(read_images(images, loaded.preprocessing)), strict=True)
    ]
    if output is Format.json:
        print_json(found)
    else:
        print_table(
            ("image", "label", *loaded.classes), [(r["path"], r["label"], *r["probabilities"].values()) for r in found]
        )


def row(path: Path, classes: tuple[str, ...], probs: Any) -> dict[str, Any]:
    """Return one picture's result."""
    return {
        "path": str(path),
        "label": classes[int(probs.argmax())],
        "probabilities": {name: float(p) for name, p in zip(classes, probs, strict=True)},
    }


def find_ensemble(given: Path | None, study: str | None, root: Path) -> Path:
    """Return the folder of the ensemble to use: given, the study's, or the last one made under the root.

    Raises:
        StudyError: there is none.
    """
    folder = given or (root / name_of(study) / "ensemble" if study else last_ensemble(root))
    if folder is None or not folder.is_dir():
        msg = (
            f"predict needs an ensemble, and there is none {f'in {folder}' if folder else 'here'}; run `ferhpo "
            "ensemble` first or give --ensemble"
        )
        raise StudyError(msg)
    return folder
