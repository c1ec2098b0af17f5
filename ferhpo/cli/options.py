"""Options that several commands share, and what `--study` and `--root` mean."""

import json
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ferhpo._atomic import write_json
from ferhpo.cli.output import say
from ferhpo.errors import UsageError, first_line
from ferhpo.study.find import is_path

QUICKSTART = "quickstart"
LAST = ".last"
DATA = "Images: a csv or a folder, see docs/data.md."
PASSWORDS = (  # of a database URL; a user name may hold an @, a password anything
    re.compile(r"([?&](?:ssl)?password=)[^&]*"),
    re.compile(r"(://[^:/]*:).*(?=@)", re.DOTALL),
)


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
EnsembleStudyOption = Annotated[
    str | None,
    typer.Option(
        "--study",
        "-s",
        help="Name of the study whose ensemble is taken.",
        show_default="of the ensemble last made here",
    ),
]
EnsembleOption = Annotated[
    Path | None,
    typer.Option(
        "--ensemble", "-e", help="Folder of an ensemble or a checkpoint.", show_default="--study's, else the last one"
    ),
]
NameArgument = Annotated[str | None, typer.Argument(metavar="NAME", help="As --study.", show_default=False)]
RootOption = Annotated[Path, typer.Option("--root", help="Folder that holds what studies leave.", file_okay=False)]
DataOption = Annotated[Path | None, typer.Option("--data", "-d", help=DATA, show_default="the study's own")]
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
SetOption = Annotated[list[str] | None, typer.Option("--set", help="A setting, like lr=0.05; may be given many times.")]
MinutesOption = Annotated[float | None, typer.Option(help="Wall time from the first step to the last validation.")]
EpochsOption = Annotated[int | None, typer.Option(help="Passes over the training rows.", show_default="the study's")]
DeviceOption = Annotated[
    str | None, typer.Option(help="cpu, cuda or cuda:1, where nets run.", show_default="cuda where there is one")
]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="table for people, json for programs.")]


def chosen(study: str | None, root: Path) -> str:
    """Return what `--study` stands for: its value, else the study last used under the root, else quickstart."""
    return study if study is not None else _last(root).get("study", QUICKSTART)


def device_of(given: str | None) -> str:
    """Return where nets run: what `--device` says, else cuda where torch can compute on one.

    Raises:
        UsageError: it says something else than cpu, cuda or cuda:N, or there is no such GPU.
    """
    if given == "cpu":
        return given
    wanted = re.fullmatch(r"cuda(?::(0|[1-9]\d*))?", given or "cuda")
    if wanted is None:
        msg = f"--device must be cpu, cuda or cuda:N, got '{given}'"
        raise UsageError(msg)
    import torch

    have = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(wanted[1] or 0) >= have:
        if given is None:
            return "cpu"
        msg = f"--device {given} needs a GPU, and torch sees {have} here; leave it out"
        raise UsageError(msg)
    reason = unusable(wanted[0])
    if not reason:
        return wanted[0]
    if given is None:
        say(f"nets run on the CPU, since torch cannot use this machine's GPU ({reason})")
        return "cpu"
    msg = f"--device {given} needs a GPU that torch can use, and this one it cannot ({reason}); leave it out"
    raise UsageError(msg)


def unusable(device: str) -> str:
    """Return why torch cannot compute on a GPU that it sees, say one too old for its kernels; "" if it can."""
    import torch

    try:
        torch.ones(1, device=device).sum().item()
    except RuntimeError as error:
        return first_line(error)
    return ""


def replaceable(out: Path, names: Sequence[str], what: str) -> Path:
    """Return the absolute path of the folder that a command replaces.

    Args:
        out: as given.
        names: of the files that such a command leaves, first the one without which a folder is none of its.
        what: they are, for people.

    Raises:
        UsageError: there is something else.
    """
    target = out.resolve()
    inside = sorted(path.name for path in target.iterdir()) if target.is_dir() else None
    other = [target.name] if inside is None else [name for name in inside if name not in names]
    if target.exists() and (other or (inside and names[0] not in inside)):
        got = f"{target} with {other[0]}" if inside and other else target
        msg = f"--out must be a new folder or one with {what} alone, which is replaced, got {got}; name another"
        raise UsageError(msg)
    return target


def named(name: str | None, study: str | None) -> str | None:
    """Return the study that a command's NAME or its `--study` gives, None where neither does.

    Raises:
        UsageError: they give two.
    """
    if name is not None and study is not None and name != study:
        msg = f"a command shows one study, got '{name}' and --study '{study}'; leave one out"
        raise UsageError(msg)
    return study if name is None else name


def remember(study: str, root: Path) -> None:
    """Make a study the one last used under a root."""
    with suppress(OSError):  # a root that may only be read is still good for reading
        write_json(root / LAST, _last(root) | {"study": str(Path(study).resolve()) if is_path(study) else study})


def remember_ensemble(folder: Path, root: Path) -> None:
    """Make an ensemble the one last made under a root, seen from there: the root may be moved or copied with it."""
    there, base = folder.resolve(), root.resolve()
    kept = there.relative_to(base) if there.is_relative_to(base) else there
    with suppress(OSError):  # the ensemble is made, and can be named
        write_json(root / LAST, _last(root) | {"ensemble": str(kept)})


def last_ensemble(root: Path) -> Path | None:
    """Return the ensemble last made under a root."""
    folder = _last(root).get("ensemble")
    return root.resolve() / folder if folder else None


def _last(root: Path) -> dict[str, str]:
    try:
        found = json.loads((root / LAST).read_bytes())
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


def command_line() -> str:
    """Return what the user typed, for the record; the password of a database URL is left out."""
    return " ".join(["ferhpo", *map(_without_password, sys.argv[1:])])


def _without_password(word: str) -> str:
    for pattern in PASSWORDS:
        word = pattern.sub(r"\1***", word)
    return word
