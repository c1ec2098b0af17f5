import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ferhpo import _layout
from ferhpo.errors import CheckpointError
from ferhpo.training import checkpoint
from ferhpo.training.checkpoint import State, read, read_state, write

CARD = {
    "config": {"lr": 0.1},
    "classes": ["a", "b"],
    "preprocessing": {},
    "epoch": 2,
    "figures": {"accuracy": 0.5},
    "parameters": 3,
    "provenance": {},
}
STATE = State(config={"lr": 0.1}, fingerprint="f", epoch=2, scalars={"step": 9}, tensors={"x": torch.arange(4)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    weights = {"w": torch.rand(2, 3).to(torch.bfloat16), "n": torch.tensor(7), "c": torch.rand(2, 2, 3, 3)}
    weights["c"] = weights["c"].to(memory_format=torch.channels_last)
    write(tmp_path, weights, CARD, np.full((4, 2), 0.5, np.float32), STATE)
    return tmp_path


def test_what_is_written_is_read_back_with_weights_in_float32(folder: Path) -> None:
    found = read(folder)
    assert {k: v for k, v in found.card.items() if k in CARD} == CARD
    assert found.weights["w"].dtype == torch.float32
    assert found.weights["n"].dtype == torch.int64
    state = read_state(folder)
    assert state.scalars == {"step": 9}
    assert torch.equal(state.tensors["x"], torch.arange(4))


def test_a_folder_holds_the_files_of_the_layout_and_no_state_once_it_is_over(folder: Path, tmp_path: Path) -> None:
    base = {_layout.WEIGHTS, _layout.CARD, _layout.PROBABILITIES}
    assert {p.name for p in folder.iterdir()} == base | {_layout.STATE, _layout.STATE_TENSORS}
    over = tmp_path / "over"
    over.mkdir()
    write(over, {"w": torch.zeros(1)}, CARD, np.zeros((1, 2), np.float32))
    assert {p.name for p in over.iterdir()} == base


@pytest.mark.parametrize("name", [_layout.WEIGHTS, _layout.STATE_TENSORS])
def test_a_flipped_byte_is_found(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    reader = read if name == _layout.WEIGHTS else read_state
    with pytest.raises(CheckpointError, match=f"is damaged: {name} does not match the checksum .* train again"):
        reader(folder)


@pytest.mark.parametrize("name", [_layout.WEIGHTS, _layout.CARD, _layout.STATE, _layout.STATE_TENSORS])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    reader = read if name in {_layout.WEIGHTS, _layout.CARD} else read_state
    with pytest.raises(CheckpointError, match=f"{name} cannot be read .No such file"):
        reader(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "must have format 1, got 'list'"),
        ('{"format": 2}', "must have format 1, got 2"),
        ('{"format": 1}', "must have 'config' as dict, got None"),
        ("\xff", "is no JSON"),
    ],
)
def test_a_card_that_is_not_one_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / _layout.CARD).write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match=message):
        read(folder)


def test_a_wrong_type_in_the_card_is_named(folder: Path) -> None:
    card = json.loads((folder / _layout.CARD).read_text())
    (folder / _layout.CARD).write_text(json.dumps(card | {"classes": "ab"}))
    with pytest.raises(CheckpointError, match="must have 'classes' as list, got 'ab'"):
        read(folder)


def test_weights_that_are_no_safetensors_are_refused_even_with_the_right_checksum(folder: Path) -> None:
    (folder / _layout.WEIGHTS).write_bytes(b"not weights at all")
    card = json.loads((folder / _layout.CARD).read_text())
    card["sha256"][_layout.WEIGHTS] = checkpoint.sha256(folder / _layout.WEIGHTS)
    (folder / _layout.CARD).write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match="is no safetensors file"):
        read(folder)


def test_provenance_says_where_and_with_what_and_what_the_caller_adds() -> None:
    found = checkpoint.provenance("abc", {"trial": 7})
    assert {"ferhpo", "torch", "python", "host", "date", "fingerprint", "trial"} <= found.keys()
    assert found["fingerprint"] == "abc"


def test_tied_weights_and_views_are_written_each_by_itself(tmp_path: Path) -> None:
    tied, whole = torch.rand(2, 3), torch.rand(6)
    state = replace(STATE, tensors={"a": whole[:4], "b": whole[2:], "whole": whole})
    write(tmp_path, {"one": tied, "other": tied}, CARD, np.zeros((1, 2), np.float32), state)
    weights, found = read(tmp_path).weights, read_state(tmp_path).tensors
    assert all(torch.equal(weights[name], tied) for name in ("one", "other"))
    assert all(torch.equal(found[name], tensor) for name, tensor in state.tensors.items())
