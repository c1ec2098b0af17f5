import json
from pathlib import Path

import numpy as np
import onnx as onnx_format
import pytest

from ferhpo.data.cache import Prepared
from ferhpo.errors import DataError
from ferhpo.export import int8, onnx
from tests.export.conftest import SIZE, Write
from tests.training.conftest import made_up


@pytest.fixture
def data(tmp_path: Path) -> Prepared:
    return made_up(tmp_path, size=SIZE)


@pytest.mark.slow  # exports and calibrates
def test_convolutions_are_in_int8_and_the_cost_is_measured(
    write_ensemble: Write, data: Prepared, tmp_path: Path
) -> None:
    folder = write_ensemble(tmp_path / "ensemble")
    made = int8.export(folder, tmp_path / "small.onnx", data)
    model = onnx_format.load(made.file)
    weights = {t.name: t.data_type for t in model.graph.initializer}
    ops = [node.op_type for node in model.graph.node]
    assert onnx_format.TensorProto.INT8 in weights.values()
    assert ops.count("QuantizeLinear") >= ops.count("Conv") > 0
    assert made.int8 is not None
    assert made.int8["rows"] == 24
    labels = data.part("val").labels
    said = onnx.run(onnx.session(made.file, 1), data.images, data.part("val").rows).argmax(1)
    assert made.int8["accuracy_int8"] == (said == labels).mean()
    assert made.int8["agreement"] > 0.8
    known = {p.key: p.value for p in model.metadata_props}
    assert json.loads(known["int8"]) == dict(made.int8)
    assert json.loads(known["classes"]) == ["a", "b", "c"]


def test_images_of_another_study_are_refused(write_ensemble: Write, data: Prepared, tmp_path: Path) -> None:
    folder = write_ensemble(tmp_path / "ensemble", mark="e" * 64)
    with pytest.raises(DataError, match="an ensemble needs the images it was trained on"):
        int8.export(folder, tmp_path / "small.onnx", data)


def test_the_ranges_are_set_by_training_images(data: Prepared) -> None:
    images = int8.calibration_images(data)
    assert len(images) == 50
    assert np.array_equal(images, data.images[data.part("train").rows])
    assert np.array_equal(images, int8.calibration_images(data))
