"""The trials an ensemble is made of, and the validation probabilities each left beside its checkpoint."""

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ferhpo._atomic import sha256, write_json
from ferhpo._layout import CARD, PROBABILITIES, WEIGHTS
from ferhpo.data.raw import seems_grey
from ferhpo.errors import CheckpointError, StudyError, UsageError
from ferhpo.metrics import figures, metric

if TYPE_CHECKING:
    from ferhpo.study.study import Study
    from ferhpo.study.trial import Trial

GREY = "grey"  # of three channels: the training images have no colour
SHARED = ("stored_size", "channels")  # preprocessing that all members have in common, being of one prepared data set
FRAMES = "frames"  # likewise, where a sample is a sequence
LATENCY = "latency.json"  # beside a checkpoint: what `measured` found, and on which machine
LEAST = 2  # members
SUM_TOLERANCE = 1e-3  # of a row of probabilities that was computed in float32


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """Trials of one study, best first, and what they say about its validation rows.

    Args:
        numbers: of the trials.
        folders: their kept epochs.
        cards: their model.json, parsed.
        latencies: milliseconds of one image on a CPU, None where nobody measured them.
        probs_mnc: float64, members x validation rows x classes, rows sum to 1.
        y_n: class index per validation row.
        groups_n: equal numbers for identical images.
        classes: names in the order of the labels.
    """

    numbers: tuple[int, ...]
    folders: tuple[Path, ...]
    cards: tuple[Mapping[str, Any], ...]
    latencies: tuple[float | None, ...]
    probs_mnc: np.ndarray
    y_n: np.ndarray
    groups_n: np.ndarray
    classes: tuple[str, ...]

    def only(self, which: Sequence[int] | np.ndarray) -> Self:
        """Return some of the members, given by index."""
        return replace(
            self,
            numbers=tuple(self.numbers[m] for m in which),
            folders=tuple(self.folders[m] for m in which),
            cards=tuple(self.cards[m] for m in which),
            latencies=tuple(self.latencies[m] for m in which),
            probs_mnc=self.probs_mnc[which],
        )

    def ranked(self, by: str) -> Self:
        """Return the members by a metric of what they say of the validation rows, best first."""
        values = [figures(probs_nc, self.y_n)[by] for probs_nc in self.probs_mnc]
        return self.only(sorted(range(len(values)), key=values.__getitem__, reverse=metric(by).maximize))

    def costs(self) -> dict[str, np.ndarray]:
        """Return parameters and latency_ms of each member, where all of them are known."""
        found = {"parameters": [card.get("parameters") for card in self.cards], "latency_ms": list(self.latencies)}
        return {kind: np.array(values, float) for kind, values in found.items() if None not in values}


def load(study: "Study", top: int) -> Members:
    """Read the best ``top`` trials whose checkpoint is kept.

    Raises:
        UsageError: ``top`` is below 2.
        StudyError: the study has fewer candidates, or one was trained on other data or on validation rows.
        CheckpointError: a member's files are damaged; the message names trial and file.
    """
    if top < LEAST:
        msg = f"--top must be at least {LEAST}, got {top}: an ensemble has members"
        raise UsageError(msg)
    if not study.data["classes"]:
        msg = f"an ensemble combines nets, and study '{study.name}' searched an objective; search nets for one"
        raise StudyError(msg)
    trials = study.candidates()
    if top > len(trials):
        remedy = (
            f"use --top {len(trials)} or less, or search on" if len(trials) >= LEAST else "run `ferhpo search` first"
        )
        have = f"study '{study.name}' has {len(trials)}"
        msg = f"--top {top} takes as many trials with a kept checkpoint, {have}; {remedy}"
        raise StudyError(msg)
    return read(study, trials[:top])


def read(study: "Study", trials: "Sequence[Trial]") -> Members:
    """Read some of a study's trials, whose checkpoints are kept, in the order given; raises as `load`."""
    y_n, groups_n = study.validation()
    classes = tuple(study.data["classes"])
    cards, probs = [], []
    for trial in trials:
        card = _card(trial)
        _same_data(trial, card, study)
        cards.append(card)
        probs.append(_probabilities(trial, card, (len(y_n), len(classes))))
    return Members(
        numbers=tuple(t.number for t in trials),
        folders=tuple(_folder(t) for t in trials),
        cards=tuple(cards),
        latencies=tuple(_latency(_folder(t)) for t in trials),
        probs_mnc=np.stack(probs),
        y_n=y_n,
        groups_n=groups_n,
        classes=classes,
    )


def check_weights(members: Members) -> None:
    """Check that the weights of all members are those of their cards.

    Raises:
        CheckpointError: one's are damaged or missing; the message names trial and file.
    """
    for number, folder, card in zip(members.numbers, members.folders, members.cards, strict=True):
        path = folder / WEIGHTS
        if not path.is_file():
            raise _damaged(number, path, "must be there, it is missing")
        if sha256(path) != card["sha256"][WEIGHTS]:
            raise _damaged(number, path, f"must have the checksum that {CARD} gives, it has another")


def measured(members: Members, measure: Callable[[Path], float], *, keep: bool = True) -> Members:
    """Return the members with their latencies, measured where nobody has.

    Args:
        members: some of a study's.
        measure: returns the milliseconds of one image for a kept epoch; `infer.latency_ms`.
        keep: what is measured beside their checkpoints; it has to be of their own views.
    """
    found = []
    for folder, known in zip(members.folders, members.latencies, strict=True):
        latency = measure(folder) if known is None else known
        if known is None and keep:
            with suppress(OSError):  # a study that may only be read is measured anew
                write_json(folder / LATENCY, {"latency_ms": latency, "host": platform.node()})
        found.append(latency)
    return replace(members, latencies=tuple(found))


def _latency(folder: Path) -> float | None:
    """Return what `measured` kept beside a checkpoint on this machine, None if nothing."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads((folder / LATENCY).read_text(encoding="utf-8"))
        return float(kept["latency_ms"]) if kept["host"] == platform.node() else None
    return None


def _folder(trial: "Trial") -> Path:
    if trial.checkpoint is None:
        msg = f"a member needs a kept checkpoint, trial {trial.number} has none"
        raise CheckpointError(msg)
    return trial.checkpoint


def _damaged(number: int, path: Path, what: str) -> CheckpointError:
    return CheckpointError(f"trial {number}: {path} {what}; delete {path.parent} to leave this trial out")


def _card(trial: "Trial") -> Mapping[str, Any]:
    path = _folder(trial) / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        _ = card["sha256"][PROBABILITIES], card["sha256"][WEIGHTS], card["classes"], card["provenance"].get
        _ = shared(card["preprocessing"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(trial.number, path, f"must describe the checkpoint, got {error!r}") from None
    return card


def shared(preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a member's preprocessing what all members have in common; raises KeyError where it is not there."""
    frames = preprocessing.get(FRAMES, 1)
    found = {key: preprocessing[key] for key in SHARED} | ({FRAMES: frames} if frames > 1 else {})
    grey = seems_grey(found["channels"], frames, *(preprocessing.get(key, ()) for key in ("mean", "std")))
    return found | ({GREY: True} if grey else {})


def _same_data(trial: "Trial", card: Mapping[str, Any], study: "Study") -> None:
    got, wanted = card["provenance"].get("fingerprint"), study.data["fingerprint"]
    if got != wanted or list(card["classes"]) != list(study.data["classes"]):
        msg = (
            f"members must be trained on the study's data (fingerprint {wanted}), trial {trial.number} was on {got}; "
            f"delete {_folder(trial)} to leave it out"
        )
        raise StudyError(msg)
    split = study.data.get("split")  # studies of before it was written down have none
    if split is not None and card["provenance"].get("split") != split:
        msg = (
            f"trial {trial.number} was trained on another or an unknown split, so it may have seen validation rows; "
            f"delete {_folder(trial)} to leave it out"
        )
        raise StudyError(msg)


def _probabilities(trial: "Trial", card: Mapping[str, Any], shape: tuple[int, int]) -> np.ndarray:
    path = _folder(trial) / PROBABILITIES
    try:
        intact = sha256(path) == card["sha256"][PROBABILITIES]
        probs_nc = np.load(path, allow_pickle=False).astype(np.float64) if intact else None
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(trial.number, path, f"must hold probabilities, got {error!r}") from None
    if probs_nc is None:
        raise _damaged(trial.number, path, f"must have the checksum that {CARD} gives, it has another")
    if probs_nc.shape != shape:
        raise _damaged(trial.number, path, f"must be validation rows x classes, {shape}, got {probs_nc.shape}")
    if not np.isfinite(probs_nc).all():
        rows = int((~np.isfinite(probs_nc)).any(1).sum())
        raise _damaged(trial.number, path, f"must hold finite numbers, got others in {rows} of {shape[0]} rows")
    sums_n = probs_nc.sum(1, keepdims=True)
    if probs_nc.min() < 0 or np.abs(sums_n - 1).max() > SUM_TOLERANCE:
        got = f"a least value of {probs_nc.min():g} and sums from {sums_n.min():g} to {sums_n.max():g}"
        raise _damaged(trial.number, path, f"must hold probabilities that sum to 1 a row, got {got}")
    return probs_nc / sums_n
