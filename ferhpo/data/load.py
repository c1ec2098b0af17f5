"""From a `DataSpec` and a path to `RawData`: finds the format and calls its reader."""

from dataclasses import replace
from pathlib import Path

from ferhpo.data import synthetic
from ferhpo.data.formats import fer2013, folders
from ferhpo.data.raw import RawData, resized
from ferhpo.errors import DataError, UsageError
from ferhpo.space.spec import DataSpec


def detect(spec: DataSpec, path: Path | None) -> str:
    """Return ``"fer2013"``, ``"folders"`` or ``"synthetic"``.

    A path given for a study that renders its own images overrides them: ``--data`` wins.

    Raises:
        UsageError: images are needed and no path was given.
        DataError: nothing is at the path, or not what the format needs.
    """
    if path is None:
        if spec.format == "synthetic":
            return spec.format
        msg = "a study on your own images needs the path of a csv or a folder, got none; add --data PATH"
        raise UsageError(msg)
    if not path.exists():
        msg = f"{path}: there is no such file or folder; check the path of --data"
        raise DataError(msg)
    found = "folders" if path.is_dir() else "fer2013"
    if spec.format in {"auto", "synthetic", found}:
        return found
    wanted, got = ("a csv file", "a folder") if path.is_dir() else ("a folder", "a file")
    msg = f'{path}: format "{spec.format}" needs {wanted}, got {got}; give another path, or set format = "auto"'
    raise DataError(msg)


def load(spec: DataSpec, path: Path | None) -> RawData:
    """Read or render the images of ``spec``; raises as `detect`, and DataError for what the format refuses."""
    match detect(spec, path), path:
        case "fer2013", Path():
            return fer2013.read(path, spec)
        case "folders", Path():
            return folders.read(path, spec)
        case _:
            raw = synthetic.render(spec.rows)
            return replace(raw, images=resized(raw.images[..., 0], spec.size, spec.channels))
