import json
import sys
from pathlib import Path

import numpy as np
import onnx as onnx_format
import pytest

from ferhpo.ensemble.infer import Ensemble
from ferhpo.errors import ModelError, UsageError
from ferhpo.export import onnx
from tests.export.conftest import SIZE, Write


@pytest.fixture(scope="module")
def folder(write_ensemble: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ensemble(tmp_path_factory.mktemp("made") / "ensemble")


@pytest.fixture(scope="module")
def exported(folder: Path) -> onnx.Exported:
    return onnx.export(folder, folder.parent / "model.onnx")


def test_the_graph_says_what_the_ensemble_says_for_any_number_of_images(exported: onnx.Exported, folder: Path) -> None:
    images = np.random.default_rng(0).integers(256, size=(21, SIZE, SIZE, 1), dtype=np.uint8)
    opened = onnx.session(exported.file, threads=1)
    wanted = Ensemble.load(folder).probabilities(images)
    for rows in (1, 21):
        got = opened.run(None, {"images": images[:rows]})[0]
        assert got.dtype == np.float32
        assert np.abs(got - wanted[:rows]).max() < onnx.TOLERANCE
    assert np.abs(onnx.run(opened, images, np.array([20, 3])) - wanted[[20, 3]]).max() < onnx.TOLERANCE


def test_what_was_checked_is_told(exported: onnx.Exported) -> None:
    found = exported.to_json()
    assert 0 <= found["max_difference"] < onnx.TOLERANCE
    assert found["bytes"] == exported.file.stat().st_size
    assert (found["members"], found["int8"]) == (2, None)


def test_classes_and_provenance_are_in_the_file(exported: onnx.Exported) -> None:
    known = {p.key: p.value for p in onnx_format.load(exported.file).metadata_props}
    assert json.loads(known["classes"]) == ["a", "b", "c"]
    assert json.loads(known["provenance"])["study"] == "made"
    assert known["input"] == "uint8 rows x 16 x 16 x 1 (grey)"


def test_only_the_file_is_left(exported: onnx.Exported) -> None:
    assert not list(exported.file.parent.glob(".*"))


def test_a_graph_that_says_something_else_is_refused_and_the_old_file_stays(
    exported: onnx.Exported, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = onnx_format.load(exported.file)
    weight = next(t for t in whole.graph.initializer if len(t.dims) == 4)
    weight.raw_data = (onnx_format.numpy_helper.to_array(weight) * 1.5).astype(np.float32).tobytes()
    monkeypatch.setattr(onnx, "graph", lambda *_: whole)
    target = exported.file.with_name("kept.onnx")
    target.write_bytes(b"the old one")
    with pytest.raises(ModelError, match=r"within 0\.0001, got a difference of"):
        onnx.export(folder, target)
    assert target.read_bytes() == b"the old one"
    assert not list(target.parent.glob(".*"))


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(onnx, "find_spec", lambda name: None if name == "onnxscript" else sys)
    with pytest.raises(UsageError, match=r"got no onnxscript; in ferhpo's clone run pip install '\.\[onnx\]'"):
        onnx.export(folder, folder.parent / "never.onnx")
    assert not (folder.parent / "never.onnx").exists()


@pytest.mark.slow  # a second export
def test_an_ensemble_of_sequences_is_exported_and_checked(write_ensemble: Write, tmp_path: Path) -> None:
    folder = write_ensemble(tmp_path / "ensemble", frames=3)
    onnx.export(folder, tmp_path / "model.onnx")
    images = np.random.default_rng(0).integers(256, size=(5, SIZE, SIZE, 3), dtype=np.uint8)
    ensemble = Ensemble.load(folder)
    assert np.abs(onnx.run(onnx.session(tmp_path / "model.onnx"), images) - ensemble.probabilities(images)).max() < 1e-4
    known = {p.key: p.value for p in onnx_format.load(tmp_path / "model.onnx").metadata_props}
    assert known["input"] == "uint8 rows x 16 x 16 x 3 (3 frames, grey)"
    with pytest.raises(
        UsageError, match="takes sequences of 3 frames, got single images; give a uint8 array, rows x 16"
    ):
        ensemble.probabilities([tmp_path / "a.png"])


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "model.onnx"
    with pytest.raises(UsageError, match=f"{target} must be a file that can be written"), onnx.aside(target):
        pytest.fail("was begun")
