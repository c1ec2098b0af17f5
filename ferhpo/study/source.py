"""Finds and opens the data of a study, and makes sure that they are the ones it was begun with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferhpo.data.cache import Prepared, prepare
from ferhpo.errors import DataError, UsageError
from ferhpo.space.spec import StudySpec


def open_data(
    spec: StudySpec, cache: Path, *, given: Path | None = None, record: Mapping[str, Any] | None = None
) -> Prepared:
    """Prepare a study's data, or open what is prepared already.

    Args:
        spec: the study file; its own path is relative to where it stands.
        cache: folder of prepared data.
        given: `--data`, which goes before the study file's path and the remembered one.
        record: what the study wrote down of its data at its first run, None before that.

    Raises:
        UsageError: nobody names the data.
        DataError: they cannot be read, or are not the ones the study was begun with.
    """
    path = given or _named(spec) or (Path(record["path"]) if record and record["path"] else None)
    if path is None and spec.data.format != "synthetic":
        msg = (
            f"a search needs images, and study '{spec.name}' names none; give --data path/to/fer2013.csv or a "
            "folder of class folders"
        )
        raise UsageError(msg)
    data = prepare(spec.data, path, cache)
    if record and data.fingerprint != record["fingerprint"]:
        msg = (
            f"a study keeps its data: '{spec.name}' was begun with {record['path'] or 'rendered faces'} (fingerprint "
            f"{record['fingerprint'][:12]}), got {path or 'rendered faces'} ({data.fingerprint[:12]}); "
            "give that data, or copy the study file to a new name"
        )
        raise DataError(msg)
    return data


def _named(spec: StudySpec) -> Path | None:
    if spec.data.path is None:
        return None
    base = spec.path.parent if isinstance(spec.path, Path) else Path()
    return base / spec.data.path
