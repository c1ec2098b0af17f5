"""Options that several commands share, and what `--study` and `--root` mean."""

import json
import re
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferhpo import _layout
from ferhpo._atomic import write_json
from ferhpo.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from ferhpo.space.spec import StudySpec

QUICKSTART = "quickstart"
LAST = ".last"
PASSWORD = re.compile(r"(://[^:@/\s]*:)\S*(?=@)|([?&](?:ssl)?password=)[^&\s]*")


class Format(StrEnum):
    """How results are printed."""

    table = "table"
    json = "json"


StudyOption = Annotated[
    str | None,
    typer.Option(
        "--study", "-s", help="Name or TOML file of a study.", show_default="the one last used here, else quickstart"
    ),
]
RootOption = Annotated[Path, typer.Option("--root", help="Folder that holds what studies leave.", file_okay=False)]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", "-d", help="fer2013.csv or a folder of class folders.", show_default="the study's own"),
]
StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar="FERHPO_STORAGE",
        help="URL of an Optuna database.",
        show_default="study.db in the study's folder",
    ),
]
TestOption = Annotated[bool, typer.Option("--test", help="Open the sealed test split; recorded in the study.")]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="table for people, json for programs.")]
ROOT = Path("studies")


def packaged() -> Path:
    """Return the folder of the study files that ferhpo brings: in an installed package, or in a clone."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_studies"
    return installed if installed.is_dir() else package.parent / "studies"


def chosen(study: str | None, root: Path) -> str:
    """Return what `--study` stands for: its value, else the study last used under the root, else quickstart."""
    return study if study is not None else _last(root).get("study", QUICKSTART)


def name_of(study: str) -> str:
    """Return a study's name from a name, with or without the folder of its file, or the path of its file."""
    return Path(study).stem if is_path(study) else Path(study).name


def is_path(study: str) -> bool:
    """Tell a path of a study file from a name, which may stand in a folder, like starting_points/cbam."""
    return study.endswith(".toml") or study.startswith(("/", "."))


def remember(study: str, root: Path) -> None:
    """Make a study the one last used under a root."""
    with suppress(OSError):  # a root that may only be read is still good for reading
        write_json(root / LAST, _last(root) | {"study": str(Path(study).resolve()) if is_path(study) else study})


def remember_ensemble(folder: Path, root: Path) -> None:
    """Make an ensemble the one last made under a root."""
    write_json(root / LAST, _last(root) | {"ensemble": str(folder.resolve())})


def last_ensemble(root: Path) -> Path | None:
    """Return the ensemble last made under a root."""
    folder = _last(root).get("ensemble")
    return Path(folder) if folder else None


def _last(root: Path) -> dict[str, str]:
    try:
        found = json.loads((root / LAST).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def command_line() -> str:
    """Return what the user typed, for the record; the password of a database URL is left out."""
    return PASSWORD.sub(r"\1\2***", " ".join(["ferhpo", *sys.argv[1:]]))


def find_spec(study: str, root: Path) -> "StudySpec":
    """Read the study file that `--study` names.

    A name is looked up as ./studies/NAME.toml, in the root, among the packaged ones, and in the study's own database.

    Raises:
        UsageError: there is none of that name, with the nearest.
        SpecError: the file breaks a rule.
    """
    from ferhpo.space.spec import read_spec

    if is_path(study):
        return read_spec(Path(study))
    folders = list(dict.fromkeys([ROOT, root, packaged()]))
    for folder in folders:
        if (folder / f"{study}.toml").is_file():
            return read_spec(folder / f"{study}.toml")
    if _layout.study_folder(root, name_of(study)).is_dir():
        from ferhpo.study.study import Study

        return Study.open(root, name_of(study)).spec
    files = [(folder, file) for folder in folders for way in ("*.toml", "*/*.toml") for file in folder.glob(way)]
    known = {file.relative_to(folder).with_suffix("").as_posix() for folder, file in files}
    msg = f"a study must have a file, and there is no studies/{study}.toml{did_you_mean(study, known)}"
    raise UsageError(msg)
