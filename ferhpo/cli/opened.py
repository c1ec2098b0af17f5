"""What several commands open: an ensemble, its study and images, the sealed test split."""

from pathlib import Path
from typing import TYPE_CHECKING

from ferhpo import __version__, _layout
from ferhpo.cli.options import command_line, last_ensemble
from ferhpo.cli.output import say
from ferhpo.cli.study import open_study
from ferhpo.errors import StudyError
from ferhpo.study.find import name_of

if TYPE_CHECKING:
    from ferhpo.data.cache import Part, Prepared
    from ferhpo.study.study import Study


def find_ensemble(given: Path | None, study: str | None, root: Path) -> Path:
    """Return the folder of the ensemble to use: given, the study's, or the last one made under the root.

    Raises:
        StudyError: there is none.
    """
    folder = given or (root / name_of(study) / _layout.ENSEMBLE if study else last_ensemble(root))
    if folder is None or not folder.is_dir():
        where = f"in {folder}" if folder else "here"
        msg = f"there is no ensemble {where}; run `ferhpo ensemble`, or give --ensemble"
        raise StudyError(msg)
    return folder


def study_of(folder: Path, study: str | None, root: Path, storage: str | None) -> "Study":
    """Return the study that an ensemble is from, or the one named.

    Raises:
        StudyError: there is no such study.
    """
    from ferhpo.ensemble import artifact

    name = study or artifact.read(folder).provenance.get("study")
    if name is None:
        msg = f"the study of {folder} must be known for its images, and it names none; give --study"
        raise StudyError(msg)
    return open_study(name, root, storage)


def images_of(study: "Study", root: Path, data: Path | None) -> "Prepared":
    """Return the prepared images of a study; raises as `source.open_data`."""
    from ferhpo.study.source import open_data

    return open_data(study.spec, _layout.cache(root), given=data, record=study.data)


def opened_test(study: "Study", prepared: "Prepared") -> "tuple[Part, int]":
    """Open the sealed test split: record that in the study, say so, and only then read.

    Returns:
        The test rows, and how many times they now were opened.
    """
    times = study.record_opening(command_line(), __version__)
    say(f"the sealed test split of study '{study.name}' is opened (now {times} times)")
    return prepared.open_test(), times
