"""One epoch on disk: weights, validation probabilities, a card that rebuilds the model, what a resumed run needs.

No pickle: tensors are safetensors, everything else is JSON. The caller makes the folder appear in one step
(`_atomic.new_folder`).
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

import ferhpo
from ferhpo import _layout
from ferhpo._atomic import sha256, write_json
from ferhpo.errors import CheckpointError

FORMAT = 1
CARD_KEYS = {
    "config": dict,
    "classes": list,
    "preprocessing": dict,
    "epoch": int,
    "figures": dict,
    "parameters": int,
    "provenance": dict,
    "sha256": dict,
}
STATE_KEYS = {"config": dict, "fingerprint": str, "epoch": int, "scalars": dict, "sha256": dict}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What `read` found: the card's keys as `CARD_KEYS` names them, the weights by name."""

    card: dict[str, Any]
    weights: dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a training needs to go on.

    Args:
        config: the settings that the training runs with.
        fingerprint: of its data.
        epoch: epochs finished.
        scalars: what JSON can hold.
        tensors: what it cannot.
    """

    config: dict[str, Any]
    fingerprint: str
    epoch: int
    scalars: dict[str, Any]
    tensors: dict[str, torch.Tensor]


def provenance(fingerprint: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return where and with what a checkpoint was made, with what the caller adds."""
    return {
        "ferhpo": ferhpo.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "host": platform.node(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "fingerprint": fingerprint,
        **given,
    }


def write(
    folder: Path,
    weights: Mapping[str, torch.Tensor],
    card: Mapping[str, Any],
    probs: np.ndarray,
    state: State | None = None,
) -> None:
    """Write one epoch's files into an empty folder.

    Args:
        folder: exists.
        weights: by name, any device; floating ones are written as float32.
        card: the keys of `CARD_KEYS` but for sha256.
        probs: float32 validation rows x classes, of the same weights.
        state: left out once the training is over.
    """
    floats = {n: w.detach().to(torch.float32) if w.is_floating_point() else w.detach() for n, w in weights.items()}
    save_file(_plain(floats), folder / _layout.WEIGHTS)
    np.save(folder / _layout.PROBABILITIES, probs, allow_pickle=False)
    sums = {name: sha256(folder / name) for name in (_layout.WEIGHTS, _layout.PROBABILITIES)}
    if state is not None:
        save_file(_plain(state.tensors), folder / _layout.STATE_TENSORS)
        fields = {key: getattr(state, key) for key in STATE_KEYS if key != "sha256"}
        sums_state = {_layout.STATE_TENSORS: sha256(folder / _layout.STATE_TENSORS)}
        write_json(folder / _layout.STATE, {"format": FORMAT, **fields, "sha256": sums_state})
    write_json(folder / _layout.CARD, {"format": FORMAT, **card, "sha256": sums})


def read(folder: Path) -> Checkpoint:
    """Read a checkpoint's card and weights.

    Raises:
        CheckpointError: a file is missing, damaged, or of another format.
    """
    card = _json(folder / _layout.CARD, CARD_KEYS)
    return Checkpoint(card=card, weights=_tensors(folder / _layout.WEIGHTS, card["sha256"]))


def read_state(folder: Path) -> State:
    """Read what a training needs to go on; raises as `read`."""
    fields = _json(folder / _layout.STATE, STATE_KEYS)
    tensors = _tensors(folder / _layout.STATE_TENSORS, fields["sha256"])
    return State(**{key: fields[key] for key in STATE_KEYS if key != "sha256"}, tensors=tensors)


def _plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    found, places = {}, set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        place = plain.untyped_storage().data_ptr()
        found[name] = plain.clone() if place in places else plain  # safetensors refuses tied weights, and views
        places.add(place)
    return found


def _json(path: Path, keys: Mapping[str, type]) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise _damaged(path, f"cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise _damaged(path, f"is no JSON ({error})") from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        found = value.get("format") if isinstance(value, dict) else type(value).__name__
        raise _damaged(path, f"must have format {FORMAT}, got {found!r}")
    for key, kind in keys.items():
        if type(value.get(key)) is not kind:
            raise _damaged(path, f"must have '{key}' as {kind.__name__}, got {value.get(key)!r}")
    return value


def _tensors(path: Path, sums: Mapping[str, str]) -> dict[str, torch.Tensor]:
    try:
        found = sha256(path)
    except OSError as error:
        raise _damaged(path, f"cannot be read ({error.strerror})") from error
    if found != sums.get(path.name):
        raise _damaged(path, "does not match the checksum that was written with it")
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _damaged(path, f"is no safetensors file ({error})") from error


def _damaged(path: Path, what: str) -> CheckpointError:
    return CheckpointError(f"checkpoint {path.parent} is damaged: {path.name} {what}; use another epoch or train again")
