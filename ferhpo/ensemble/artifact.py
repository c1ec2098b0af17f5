"""The folder an ensemble lives in: whole in itself, so that it works wherever it is moved to.

    ensemble.json                   method, members' weights and checksums, meta-learner, classes, figures, provenance
    members/0007/model.safetensors  a member's weights and
    members/0007/model.json         card, byte for byte as the trial left them

`read` checks all of it; there is no pickle, and nothing in it is a path outside.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ferhpo._atomic import new_folder, sha256, write_json
from ferhpo._layout import CARD, WEIGHTS
from ferhpo.ensemble.combine import Combination, Meta
from ferhpo.ensemble.evaluate import METHODS
from ferhpo.ensemble.members import SHARED, Members
from ferhpo.errors import CheckpointError

FORMAT = 1
INDEX = "ensemble.json"
FILES = (WEIGHTS, CARD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """An ensemble as it is stored.

    Args:
        combination: how the members' probabilities become one.
        numbers: the members' trials, in the order of the combination's weights.
        folders: where their files lie in the artifact.
        classes: names in the order of the probabilities.
        preprocessing: stored_size and channels of the images that `infer` takes.
        report: the figures, as `ferhpo ensemble --format json` prints them.
        provenance: study, metric, data fingerprint, command, date, version.
    """

    combination: Combination
    numbers: tuple[int, ...]
    folders: tuple[Path, ...]
    classes: tuple[str, ...]
    preprocessing: Mapping[str, Any]
    report: Mapping[str, Any]
    provenance: Mapping[str, Any]


def write(
    folder: Path,
    members: Members,
    combination: Combination,
    *,
    report: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> None:
    """Put the artifact at ``folder`` in one rename; an older one is replaced only by a whole new one.

    Args:
        folder: where it shall be.
        members: those of the combination; `members.check_weights` found their weights whole.
        combination: as fitted.
        report: see `Artifact`.
        provenance: see `Artifact`.

    Raises:
        CheckpointError: a member's file cannot be copied, or members take different images.
    """
    preprocessing = {key: members.cards[0]["preprocessing"][key] for key in SHARED}
    meta = combination.meta
    with new_folder(folder) as part:
        index = {
            "format": FORMAT,
            "method": combination.method,
            "members": [],
            "meta": meta and {"coef": meta.coef_cmk.tolist(), "bias": meta.bias_c.tolist(), "strength": meta.strength},
            "classes": list(members.classes),
            "preprocessing": preprocessing,
            "report": dict(report),
            "provenance": dict(provenance),
        }
        rows = zip(members.numbers, members.folders, members.cards, combination.weights_m.tolist(), strict=True)
        for number, source, card, weight in rows:
            if any(card["preprocessing"][key] != preprocessing[key] for key in SHARED):
                msg = f"members must take the same images, trial {number} takes others than {members.numbers[0]}"
                raise CheckpointError(msg)
            own = part / _member(number)
            own.mkdir(parents=True)
            for name in FILES:
                _copy(source / name, own / name, number)
            sums = {name: sha256(own / name) for name in FILES}
            index["members"].append({"number": number, "weight": weight, "sha256": sums})
        write_json(part / INDEX, {**index, "sha256": _digest(index)})


def read(folder: Path) -> Artifact:
    """Read an artifact and check every file of it.

    Raises:
        CheckpointError: a file is damaged or missing; the message names it.
    """
    path = folder / INDEX
    if not path.is_file():
        msg = f"an ensemble must be a folder with {INDEX}, got {folder}; make one with `ferhpo ensemble`"
        raise CheckpointError(msg)
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        wanted = index.pop("sha256")
        if index["format"] != FORMAT:
            raise _damaged(path, f"must be of format {FORMAT}, got {index['format']!r}")
        if wanted != _digest(index):
            raise _damaged(path, "must have the checksum it was written with, it has another")
        artifact = _parse(folder, index)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, f"must describe an ensemble, got {error!r}") from None
    for member, own in zip(index["members"], artifact.folders, strict=True):
        for name in FILES:
            _intact(own / name, member["sha256"][name])
    return artifact


def _member(number: int) -> str:
    return f"members/{number:04d}"


def _parse(folder: Path, index: Mapping[str, Any]) -> Artifact:
    members, meta = index["members"], index["meta"]
    if index["method"] not in METHODS:
        msg = f"unknown method {index['method']!r}"
        raise ValueError(msg)
    if meta is not None:
        coef_cmk, bias_c = np.array(meta["coef"], float), np.array(meta["bias"], float)
        meta = Meta(coef_cmk=coef_cmk, bias_c=bias_c, strength=float(meta["strength"]))
    weights_m = np.array([m["weight"] for m in members], float)
    return Artifact(
        combination=Combination(method=index["method"], weights_m=weights_m, meta=meta),
        numbers=tuple(m["number"] for m in members),
        folders=tuple(folder / _member(m["number"]) for m in members),
        preprocessing=index["preprocessing"],
        classes=tuple(index["classes"]),
        report=index["report"],
        provenance=index["provenance"],
    )


def _digest(index: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(index, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _copy(source: Path, target: Path, number: int) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        msg = f"trial {number}: {source} must be copied into the ensemble ({error.strerror})"
        raise CheckpointError(msg) from None


def _intact(path: Path, wanted: str) -> None:
    if not path.is_file():
        raise _damaged(path, "must be there, it is missing")
    if sha256(path) != wanted:
        raise _damaged(path, "must have the checksum it was written with, it has another")


def _damaged(path: Path, what: str) -> CheckpointError:
    return CheckpointError(f"{path} {what}; make the ensemble anew with `ferhpo ensemble`")
