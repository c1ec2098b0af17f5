"""Finds and opens the data of a study, and makes sure that they are the ones it was begun with."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ferhpo.data.cache import Prepared, prepare
from ferhpo.errors import DataError, StudyError, UsageError
from ferhpo.space.sections import DataSpec
from ferhpo.space.spec import StudySpec
from ferhpo.study.study import Study

OBJECTIVE = "objective"  # in place of a format, of a study that searches a function of Python


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
        UsageError: nobody names the data, or the study was begun with an objective, which has none.
        DataError: they cannot be read, are not the ones the study was begun with, or, before that, are prepared with
            other labels than the study wants, or have no votes for soft ones.
    """
    asked, path = located(spec, given=given, record=record)
    data = prepare(asked, path, cache)
    if record and data.fingerprint != record["fingerprint"]:
        msg = (
            f"a study keeps its data: '{spec.name}' was begun with {record['path'] or 'rendered faces'} (fingerprint "
            f"{record['fingerprint'][:12]}), got {path or 'rendered faces'} ({data.fingerprint[:12]}); "
            "give that data, or copy the study file to a new name"
        )
        raise DataError(msg)
    if not record and asked.labels == "soft" and data.soft is None and data.format != "prepared":
        msg = f'labels = "soft" needs votes, which FER+ has, got format "{data.format}"; leave it out of [data]'
        raise DataError(msg)
    kept = "majority" if data.soft is None else "soft"
    if not record and data.format == "prepared" and kept != asked.labels:
        msg = (
            f"{path}: prepared images keep the labels that they were prepared with, got {kept} for labels = "
            f'"{asked.labels}"; set labels = "{kept}" in [data], or prepare them anew with --study {spec.name}'
        )
        raise DataError(msg)
    return data


def open_other(spec: StudySpec, path: Path, cache: Path, own: Prepared) -> Prepared:
    """Prepare another data set as a study's images are kept, with its own classes and splits.

    Nets that were trained on grey images with three channels have seen no colour, and are shown none.

    Args:
        spec: of the study; size, channels and labels of its data are read.
        path: file or folder of the other set.
        cache: folder of prepared data.
        own: the study's images.

    Raises:
        DataError: it cannot be read.
    """
    channels = 1 if own.grey else spec.data.channels
    found = prepare(DataSpec(size=spec.data.size, channels=channels, labels=spec.data.labels), path, cache)
    return replace(found, images=np.broadcast_to(found.images, (*found.images.shape[:3], 3))) if own.grey else found


def located(
    spec: StudySpec, *, given: Path | None = None, record: Mapping[str, Any] | None = None
) -> tuple[DataSpec, Path | None]:
    """Return how a study's data are kept, and where they lie; arguments and errors as `open_data`.

    Paths of a study file are relative to where it stands; of one from the database, what the study wrote down goes.
    """
    if record and record.get("format") == OBJECTIVE:
        msg = (
            f"study '{spec.name}' searches a Python objective, which is not stored with it; go on from Python, with "
            f"ferhpo.search('{spec.name}', objective=...)"
        )
        raise UsageError(msg)
    data = spec.data
    known = record if record and not isinstance(spec.path, Path) else {}
    base = spec.path.parent if isinstance(spec.path, Path) else Path()
    remembered = Path(record["path"]) if record and record["path"] else None
    named = None if data.path is None or (known and remembered) else base / data.path
    path = given or named or remembered
    if path is None and data.format != "synthetic":
        msg = (
            f"study '{spec.name}' names no images; give --data FILE-OR-FOLDER, a csv like fer2013.csv or a folder of "
            "class folders"
        )
        raise UsageError(msg)
    further = known.get("further") or {
        "also": [str(base / more) for more in data.also],
        "images": None if data.images is None else str(base / data.images),
    }
    return replace(data, also=tuple(further["also"]), images=further["images"]), path


def data_record(data: Prepared) -> dict[str, Any]:
    """Return what a study writes down of its data."""
    return {
        "path": str(data.source) if data.source else None,
        "format": data.format,
        "fingerprint": data.fingerprint,
        "split": data.split_digest,
        "cache": str(data.folder),
        "classes": list(data.classes),
        "further": dict(data.further),
        "counts": data.counts,
    }


def recorded_data(root: Path, name: str, storage: str | None = None) -> Mapping[str, Any] | None:
    """Return what a study wrote down of its data, None if there is no such study yet."""
    try:
        return Study.open(root, name, storage).data
    except StudyError:
        return None
