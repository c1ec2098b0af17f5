"""The folder an ensemble lives in: whole in itself, so that it works wherever it is moved to.

    ensemble.json                   combination, views, members' checksums, classes, figures, provenance
    MODEL_CARD.md                   the same for people
    members/0007/model.safetensors  a member's weights and
    members/0007/model.json         card, byte for byte as the trial left them

`read` checks all of it; there is no pickle, and nothing in it is a path outside. The checkpoint of a single net reads
as an ensemble of one, so that whatever takes an ensemble takes it as well.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ferhpo._atomic import new_folder, sha256, write_json, write_text
from ferhpo._layout import CARD, INDEX, WEIGHTS
from ferhpo.ensemble import card
from ferhpo.ensemble.combine import Combination
from ferhpo.ensemble.evaluate import METHODS
from ferhpo.ensemble.members import Members, shared
from ferhpo.errors import CheckpointError, DataError

if TYPE_CHECKING:
    from ferhpo.data.cache import Prepared

FORMAT = 2
MODEL_CARD = "MODEL_CARD.md"
FILES = (WEIGHTS, CARD)
OWN_VIEWS = "own"  # of `infer.TTA`: each member as it was validated


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """An ensemble as it is stored.

    Args:
        combination: how the members' probabilities become one.
        numbers: the members' trials, in the order of the combination's weights.
        folders: where their files lie in the artifact.
        classes: names in the order of the probabilities.
        preprocessing: stored_size and channels of the images that `infer` takes.
        tta: name of the views that a member's probabilities are averaged over (`infer.TTA`).
        report: the figures, as `ferhpo ensemble --format json` prints them; empty for a single checkpoint.
        provenance: study, metric, data fingerprint, command, date, version.
    """

    combination: Combination
    numbers: tuple[int, ...]
    folders: tuple[Path, ...]
    classes: tuple[str, ...]
    preprocessing: Mapping[str, Any]
    tta: str
    report: Mapping[str, Any]
    provenance: Mapping[str, Any]

    def check_images(self, data: "Prepared") -> None:
        """Check that images are those the members were trained on, split as they were then.

        Raises:
            DataError: they are others, or rows that are held out now may have trained a member.
        """
        wanted = self.provenance.get("fingerprint")
        if wanted != data.fingerprint:
            msg = (
                f"an ensemble needs the images it was trained on (fingerprint {wanted}), got {data.fingerprint}; "
                "correct --data"
            )
            raise DataError(msg)
        for number, described in zip(self.numbers, self.cards(), strict=True):
            split = described["provenance"].get("split")
            if split is not None and split != data.split_digest:  # nets of before it was written down have none
                msg = f"member {number} was trained on another split of these images; name its own study with --study"
                raise DataError(msg)

    def cards(self) -> tuple[Mapping[str, Any], ...]:
        """Read the members' model.json."""
        return tuple(json.loads((folder / CARD).read_text(encoding="utf-8")) for folder in self.folders)


def write(
    folder: Path,
    members: Members,
    combination: Combination,
    *,
    report: Mapping[str, Any],
    provenance: Mapping[str, Any],
    tta: str = OWN_VIEWS,
) -> None:
    """Put the artifact at ``folder`` in one rename; an older one is replaced only by a whole new one.

    Args:
        folder: where it shall be.
        members: those of the combination; `members.check_weights` found their weights whole.
        combination: as fitted.
        report: see `Artifact`.
        provenance: see `Artifact`.
        tta: see `Artifact`.

    Raises:
        CheckpointError: a member's file cannot be copied, or members take different images.
    """
    preprocessing = shared(members.cards[0]["preprocessing"])
    with new_folder(folder) as part:
        index = {
            "format": FORMAT,
            "combination": combination.to_json(),
            "members": [],
            "tta": tta,
            "classes": list(members.classes),
            "preprocessing": preprocessing,
            "report": dict(report),
            "provenance": dict(provenance),
        }
        for number, source, described in zip(members.numbers, members.folders, members.cards, strict=True):
            if shared(described["preprocessing"]) != preprocessing:
                msg = f"members must take the same images, trial {number} takes others than {members.numbers[0]}"
                raise CheckpointError(msg)
            own = part / _member(number)
            own.mkdir(parents=True)
            for name in FILES:
                _copy(source / name, own / name, number)
            index["members"].append({"number": number, "sha256": {name: sha256(own / name) for name in FILES}})
        _describe(part, index)


def amend(folder: Path, changes: Mapping[str, Any]) -> None:
    """Change entries of an artifact's report, in its card as well.

    Raises:
        CheckpointError: a file of it is damaged or missing.
    """
    stored = read(folder)
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    del index["sha256"]
    _describe(folder, index | {"report": {**stored.report, **changes}})


def read(folder: Path) -> Artifact:
    """Read an artifact and check every file of it, or take a checkpoint's folder as an ensemble of one.

    Raises:
        CheckpointError: a file is damaged or missing; the message names it.
    """
    path = folder / INDEX
    if not path.is_file():
        if (folder / CARD).is_file():
            return _single(folder)
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


def _describe(folder: Path, index: Mapping[str, Any]) -> None:
    write_json(folder / INDEX, {**index, "sha256": _digest(index)})
    stored = _parse(folder, index)
    write_text(folder / MODEL_CARD, card.render(stored, stored.cards()))


def digest(folder: Path) -> str:
    """Return what tells one ensemble or checkpoint from another: the SHA-256 of the file that holds all checksums."""
    return sha256(folder / (INDEX if (folder / INDEX).is_file() else CARD))


def _single(folder: Path) -> Artifact:
    """Read a checkpoint's card; whoever loads the weights checks them."""
    path = folder / CARD
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        return Artifact(
            combination=Combination(method="uniform", weights_m=np.ones(1)),
            numbers=(0,),
            folders=(folder,),
            classes=tuple(described["classes"]),
            preprocessing=shared(described["preprocessing"]),
            tta=OWN_VIEWS,
            report={},
            provenance=described["provenance"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path} must describe a checkpoint, got {error!r}; train again"
        raise CheckpointError(msg) from None


def _member(number: int) -> str:
    return f"members/{number:04d}"


def _parse(folder: Path, index: Mapping[str, Any]) -> Artifact:
    members, combination = index["members"], Combination.from_json(index["combination"])
    if combination.method not in METHODS:
        msg = f"unknown method {combination.method!r}"
        raise ValueError(msg)
    if len(combination.weights_m) != len(members):
        msg = f"{len(members)} members with {len(combination.weights_m)} weights"
        raise ValueError(msg)
    return Artifact(
        combination=combination,
        numbers=tuple(m["number"] for m in members),
        folders=tuple(folder / _member(m["number"]) for m in members),
        preprocessing=index["preprocessing"],
        classes=tuple(index["classes"]),
        tta=index["tta"],
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
