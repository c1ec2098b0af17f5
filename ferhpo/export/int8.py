"""An exported graph with convolutions in 8-bit integers, and what that costs in accuracy.

References:
    Jacob et al. 2017, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
    arXiv 1712.05877 (static quantisation after training; weights by output channel, activations by tensor).
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ferhpo._seeding import derive
from ferhpo.data.cache import Prepared
from ferhpo.export import onnx

CALIBRATION = 256  # training images whose activations set the ranges


def export(folder: Path, target: Path, data: Prepared) -> onnx.Exported:
    """Write an ensemble's graph in int8, once its float32 form was seen to say what torch says.

    Args:
        folder: of the ensemble or checkpoint.
        target: the file, replaced in one step.
        data: the images of the ensemble's study: training rows set the ranges, validation rows measure the cost.

    Raises:
        DataError: the images are not the ensemble's, or split in another way.
        Whatever `onnx.export` raises.
    """
    from ferhpo.ensemble import artifact

    onnx.check_installed()
    artifact.read(folder).check_images(data)
    with onnx.aside(target) as part, tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "float32.onnx"
        made = onnx.export(folder, whole)
        quantise(whole, part, calibration_images(data))
        cost = measure(whole, part, data)
        _note(part, cost)
    return replace(made, file=target, bytes=target.stat().st_size, int8=cost)


def calibration_images(data: Prepared) -> np.ndarray:
    """Return training images, the same ones every time."""
    rows = data.part("train").rows
    picked = np.random.default_rng(derive(0, "calibration")).permutation(len(rows))[:CALIBRATION]
    return data.images[np.sort(rows[picked])]


def quantise(source: Path, target: Path, images: np.ndarray) -> None:
    """Write ``source`` with its convolutions in int8.

    Only convolutions: they are nine tenths of the work, and what stands between them loses less in float32.

    Args:
        source: a float32 graph of `onnx.export`.
        target: the file.
        images: uint8, as the graph takes them, whose activations set the ranges.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = iter(np.array_split(images, max(1, len(images) // onnx.BATCH)))

        def get_next(self) -> dict[str, np.ndarray] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
            batch = next(self._batches, None)
            return None if batch is None else {"images": batch}

    with tempfile.TemporaryDirectory() as scratch, _quiet():
        plain = Path(scratch) / "plain.onnx"
        quant_pre_process(source, plain, skip_symbolic_shape=True)
        quantization.quantize_static(
            plain,
            target,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )


def measure(whole: Path, small: Path, data: Prepared) -> dict[str, Any]:
    """Return rows, accuracy of both graphs on the validation rows, and the share of rows on which they agree."""
    part = data.part("val")
    said = {
        name: onnx.run(onnx.session(file), part.images, part.rows).argmax(1)
        for name, file in (("float32", whole), ("int8", small))
    }
    return {
        "rows": len(part.labels),
        **{f"accuracy_{name}": float((label_n == part.labels).mean()) for name, label_n in said.items()},
        "agreement": float((said["float32"] == said["int8"]).mean()),
    }


def _note(file: Path, cost: dict[str, Any]) -> None:
    """Keep what was measured in the graph's metadata."""
    import json

    import onnx as format_

    model = format_.load(file)
    entry = model.metadata_props.add()
    entry.key, entry.value = "int8", json.dumps(cost)
    file.write_bytes(model.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep onnxruntime's advice about preprocessing, which is done here, from the user."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)
