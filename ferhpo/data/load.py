"""From a `DataSpec` and a path to `RawData`: finds the format, calls its reader, joins sets and keeps classes."""

from dataclasses import replace
from pathlib import Path

from ferhpo.data import names, synthetic
from ferhpo.data.formats import (
    affectnet,
    ckplus,
    expw,
    fer2013,
    ferplus,
    folders,
    huggingface,
    prepared,
    rafdb,
    table,
)
from ferhpo.data.formats.annotations import check_commas
from ferhpo.data.join import joined, with_classes
from ferhpo.data.raw import RawData, resized
from ferhpo.errors import DataError, UsageError
from ferhpo.space.sections import DataSpec

FOLDERS = {  # format -> its module, in the order they are looked for
    "prepared": prepared,
    "huggingface": huggingface,
    "rafdb": rafdb,
    "affectnet": affectnet,
    "expw": expw,
    "ckplus": ckplus,
    "folders": folders,
}
COLUMNS = tuple(f"{use}_column" for use in table.USUAL)
WITH_COLUMNS = ("table", "huggingface")
SEQUENCES = ("ckplus", "prepared")  # formats whose samples may have several frames
FILES = {"ferplus": ferplus, "table": table, "fer2013": fer2013}


def detect(spec: DataSpec, path: Path | None) -> str:
    """Return the format (`sections.FORMATS` but ``"auto"``) of what lies at ``path``.

    A path given for a study that renders its own images overrides them: ``--data`` wins.

    Raises:
        UsageError: images are needed and no path was given.
        DataError: nothing is at the path, it cannot be read, or is not what the format needs.
    """
    if path is None:
        if spec.format == "synthetic":
            return spec.format
        msg = "a study on your own images needs the path of a csv or a folder, got none; add --data PATH"
        raise UsageError(msg)
    try:
        return _found(spec, path)
    except OSError as error:
        msg = f"{error.filename or path}: the images must be readable ({error.strerror}); check the path"
        raise DataError(msg) from None


def _found(spec: DataSpec, path: Path) -> str:
    if not path.exists():
        msg = f"{path}: there is no such file or folder of images; check the path"
        raise DataError(msg)
    if not path.is_dir():
        check_commas(path, table.header(path))  # before its columns decide
    if spec.format in {"auto", "synthetic"}:
        return _folder_format(path) if path.is_dir() else _file_format(path, spec)
    if path.is_dir() == (spec.format in FOLDERS):
        return spec.format
    wanted, got = ("a csv file", "a folder") if path.is_dir() else ("a folder", "a file")
    msg = f'{path}: format "{spec.format}" needs {wanted}, got {got}; give another path, or set format = "auto"'
    raise DataError(msg)


def _folder_format(path: Path) -> str:
    named = (name for name, module in FOLDERS.items() if module is not folders and module.matches(path))
    return next(named, "folders")


def _file_format(path: Path, spec: DataSpec) -> str:
    header = table.header(path)
    if ferplus.matches(header):
        return "ferplus"
    return "table" if table.matches(header, spec) else "fer2013"


def load(spec: DataSpec, path: Path | None) -> RawData:
    """Read or render the images of ``spec`` and of the sets it adds.

    Raises:
        UsageError: as `detect`.
        DataError: as `detect`, and for what the format refuses.
    """
    raw = _read(spec, path)
    if spec.also:
        raw = joined([raw, *(_read(_of_added(spec, more), more) for more in map(Path, spec.also))], spec)
    return with_classes(raw, names.known(spec.classes, raw.classes)) if spec.classes else raw


def _of_added(spec: DataSpec, path: Path) -> DataSpec:
    """Return the DataSpec of an added set: ``images``, and columns it lacks, are the first set's only."""
    there = huggingface.columns(path) if path.is_dir() else table.header(path)
    columns = {column: "auto" for column in COLUMNS if getattr(spec, column) not in {"", *there}}
    return replace(spec, format="auto", also=(), images=None, **columns)


def _read(spec: DataSpec, path: Path | None) -> RawData:
    kind = detect(spec, path)
    if spec.frames > 1 and kind not in SEQUENCES:
        wanted = " or ".join(SEQUENCES)
        msg = f'frames = {spec.frames} needs a set of sequences ({wanted}), got format "{kind}"; take frames = 1'
        raise DataError(msg)
    named = [column for column in COLUMNS if getattr(spec, column) not in {"auto", ""}]
    if named and kind not in WITH_COLUMNS:
        msg = f'{named[0]} names a column of a table or a Hugging Face data set, got format "{kind}"; leave it out'
        raise DataError(msg)
    if path is None or kind == "synthetic":
        raw = synthetic.render(spec.rows)
        return replace(raw, images=resized(raw.images[..., 0], spec.size, spec.channels))
    return (FOLDERS | FILES)[kind].read(path, spec)


def state(spec: DataSpec, kind: str, path: Path) -> list[tuple[str, int, int]]:
    """Return name, size and time of change of every file that `load` would read: other files, other images.

    Args:
        spec: names the sets that are added, and where the images of annotations are.
        kind: the format of ``path``, as `detect` gives it.
        path: file or folder.

    Raises:
        DataError: as `detect`, of a set that is added, and for a table that breaks a rule.
    """
    files = [path]
    if spec.images is not None:
        files.append(Path(spec.images))
    elif kind == "ferplus":
        files.append(path.with_name(ferplus.IMAGES))
    if kind == "table":
        files.extend(sorted(set(table.find(path, spec).files)))
    found = [entry for file in files for entry in _entries(file)]
    for more in map(Path, spec.also):
        own = _of_added(spec, more)
        found.extend(state(own, detect(own, more), more))
    return found


def _entries(path: Path) -> list[tuple[str, int, int]]:
    if path.is_dir():
        return [(f"{path}/{found.name}", found.size, found.mtime_ns) for found in folders.scan(path, every=True)]
    if not path.exists():  # what reads it says so
        return []
    stat = path.stat()
    return [(str(path), stat.st_size, stat.st_mtime_ns)]
