"""An ensemble as one ONNX graph, from uint8 images to calibrated probabilities, that needs nothing of ferhpo.

Input ``images``: uint8, rows x stored_size x stored_size x channels, any number of rows; scaling to the stored size is
left to whoever reads the pictures. Output ``probabilities``: float32, rows x classes. The metadata hold the class names
and where the ensemble is from, as JSON. Nets that were trained in bf16 compute in float32 here.
"""

import json
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ferhpo._atomic import for_user
from ferhpo.data.raw import resized
from ferhpo.ensemble import artifact
from ferhpo.ensemble.members import GREY
from ferhpo.errors import ModelError, UsageError, first_line

if TYPE_CHECKING:
    from onnx import ModelProto

    from ferhpo.ensemble.infer import Ensemble

ROWS = 256  # rendered faces on which the graph must say what torch says
TOLERANCE = 1e-4  # of a probability
BATCH = 16  # images a run: more do not fit the caches
NEEDED = ("onnx", "onnxruntime", "onnxscript")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What `export` wrote.

    Args:
        file: where.
        bytes: its size.
        members: nets in it.
        difference: the largest of a probability between onnxruntime and torch in float32, over ROWS images.
        int8: what `int8.measure` found, None for a float32 graph.
    """

    file: Path
    bytes: int
    members: int
    difference: float
    int8: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what ``--format json`` prints."""
        return {
            "file": str(self.file),
            "bytes": self.bytes,
            "members": self.members,
            "max_difference": self.difference,
            "int8": None if self.int8 is None else dict(self.int8),
        }


def check_installed() -> None:
    """Refuse to begin without the packages that only this needs.

    Raises:
        UsageError: one is missing.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        msg = (
            f"an ONNX export needs {', '.join(NEEDED)}, got no {missing[0]}; in ferhpo's clone run "
            "pip install '.[onnx]'"
        )
        raise UsageError(msg)


def export(folder: Path, target: Path) -> Exported:
    """Write an ensemble's graph to ``target``, once it was seen to say what torch says.

    Args:
        folder: of the ensemble or checkpoint.
        target: the file, replaced in one step.

    Raises:
        UsageError: a package is missing, or the file cannot be written.
        CheckpointError: the ensemble is damaged.
        ModelError: torch cannot export one of its nets, or the graph says something else than torch.
    """
    check_installed()
    from ferhpo.ensemble.infer import Ensemble

    ensemble = in_float32(Ensemble.load(folder))
    with aside(target) as part:
        content = graph(ensemble, artifact.read(folder).provenance).SerializeToString()
        with for_user(target):
            part.write_bytes(content)
        difference = check(part, ensemble)
    return Exported(file=target, bytes=target.stat().st_size, members=len(ensemble.models), difference=difference)


@contextmanager
def aside(target: Path) -> Iterator[Path]:
    """Yield the path of a file to write that takes the place of ``target`` if nothing is raised.

    Raises:
        UsageError: it cannot be written, said before the body begins where that can be seen.
    """
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    with for_user(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
    try:
        yield part
        with for_user(target):
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def in_float32(ensemble: "Ensemble") -> "Ensemble":
    """Return an ensemble whose members compute in float32, whatever they were validated in."""
    return replace(ensemble, cards=tuple({**card, "precision": None} for card in ensemble.cards))


def graph(ensemble: "Ensemble", provenance: Mapping[str, Any]) -> "ModelProto":
    """Return the ONNX graph of an ensemble, with its metadata.

    Raises:
        ModelError: torch cannot export one of the nets.
    """
    import onnx
    import torch

    from ferhpo.export.graph import Graph

    size, channels = ensemble.preprocessing["stored_size"], ensemble.preprocessing["channels"]
    example = torch.zeros(2, size, size, channels, dtype=torch.uint8)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter about itself
            program = torch.onnx.export(
                Graph(ensemble),
                (example,),
                dynamo=True,
                verbose=False,
                input_names=["images"],
                output_names=["probabilities"],
                dynamic_shapes=({0: torch.export.Dim("rows")},),
            )
    except (torch.onnx.OnnxExporterError, RuntimeError) as error:
        archs = ", ".join(sorted({card["config"]["arch"] for card in ensemble.cards}))
        reason = first_line(error)
        msg = (
            f"an ONNX export takes nets that torch can export, got {archs} ({reason}); leave out the one that it names"
        )
        raise ModelError(msg) from error
    assert program is not None
    model = program.model_proto
    frames = ensemble.preprocessing.get("frames", 1)
    kind = "grey" if channels == frames else "grey, repeated" if ensemble.preprocessing.get(GREY) else "RGB"
    known = {
        "classes": json.dumps(ensemble.classes),
        "input": f"uint8 rows x {size} x {size} x {channels} ({kind if frames == 1 else f'{frames} frames, {kind}'})",
        "provenance": json.dumps(dict(provenance)),
    }
    onnx.helper.set_model_props(model, known)
    return model


def session(file: Path, threads: int = 0) -> Any:
    """Return an onnxruntime session on the CPU, with so many threads or, by 0, one a core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # waiting threads leave the cores to others
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def run(opened: Any, images: np.ndarray, rows: np.ndarray | None = None, batch: int = BATCH) -> np.ndarray:
    """Return a session's ``probs_nc``, float32, of images or of those given by number."""
    rows = np.arange(len(images)) if rows is None else rows
    starts = range(0, len(rows), batch)
    return np.concatenate([opened.run(None, {"images": images[rows[i : i + batch]]})[0] for i in starts])


def check(file: Path, ensemble: "Ensemble") -> float:
    """Return by how much a graph's probabilities differ from torch's at most, over rendered faces.

    Raises:
        ModelError: by more than TOLERANCE.
    """
    from ferhpo.data.synthetic import render

    size, channels = ensemble.preprocessing["stored_size"], ensemble.preprocessing["channels"]
    images = resized(render(ROWS).images[..., 0], size, channels)
    members_mnc = ensemble.member_probabilities(images)
    apart_n = np.abs(run(session(file), images) - ensemble.combination.predict(members_mnc)).max(1)
    if ensemble.combination.rule == "vote":  # a vote between classes as good as equal may go either way
        first, second = np.sort(members_mnc, axis=2)[..., -1], np.sort(members_mnc, axis=2)[..., -2]
        apart_n = apart_n[(first - second > TOLERANCE).all(0)]
    difference = float(apart_n.max(initial=0))
    if not difference <= TOLERANCE:
        msg = (
            f"an exported graph must give torch's probabilities within {TOLERANCE:g}, got a difference of "
            f"{difference:.3g} over {ROWS} images; report the architectures of the ensemble"
        )
        raise ModelError(msg)
    return difference
