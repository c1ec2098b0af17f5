"""Finds a study's file by its name."""

from pathlib import Path
from typing import TYPE_CHECKING

from ferhpo import _layout
from ferhpo.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from ferhpo.space.spec import StudySpec

ROOT = Path("studies")


def packaged() -> Path:
    """Return the folder of the study files that ferhpo brings: in an installed package, or in a clone."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_studies"
    return installed if installed.is_dir() else package.parent / "studies"


def name_of(study: str) -> str:
    """Return a study's name from a name, with or without the folder of its file, or the path of its file."""
    return Path(study).stem if is_path(study) else Path(study).name


def is_path(study: str) -> bool:
    """Tell a path of a study file from a name, which may stand in a folder, like starting_points/cbam."""
    return study.endswith(".toml") or study.startswith(("/", "."))


def find_spec(study: str, root: Path, storage: str | None = None) -> "StudySpec":
    """Read the study file that `--study` names.

    A name is looked up as ./studies/NAME.toml, in the root, among the packaged ones, and in the study's own database.
    With a folder in front, like the studies/mine that a shell completes, it may also be a path without its ending.

    Args:
        study: a name, or the path of a file.
        root: the folder of studies.
        storage: URL of the study's database, if it is not the one remembered in the study's folder.

    Raises:
        UsageError: there is none of that name, with the nearest.
        SpecError: the file breaks a rule.
        StudyError: only the database has it, and that cannot be read.
    """
    from ferhpo.space.spec import read_spec

    if is_path(study):
        return read_spec(Path(study))
    study = study.rstrip("/")
    if "/" in study and Path(f"{study}.toml").is_file():
        return read_spec(Path(f"{study}.toml"))
    folders = list(dict.fromkeys([ROOT, root, packaged()]))
    for folder in folders:
        if (folder / f"{study}.toml").is_file():
            return read_spec(folder / f"{study}.toml")
    if _layout.study_folder(root, name_of(study)).is_dir():
        from ferhpo.study.study import Study

        return Study.open(root, name_of(study), storage).spec
    files = [(folder, file) for folder in folders for way in ("*.toml", "*/*.toml") for file in folder.glob(way)]
    known = {file.relative_to(folder).with_suffix("").as_posix() for folder, file in files}
    msg = f"a study must have a file, and there is no studies/{study}.toml{did_you_mean(study, known)}"
    raise UsageError(msg)
