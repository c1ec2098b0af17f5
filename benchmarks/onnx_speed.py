"""Images a second of an ensemble of small nets: torch in float32 against its ONNX graph, as it is and in int8.

All three run the same images in turns in one process, on the same number of threads; each counts by its best turn.
Weights are drawn, not trained: speed does not depend on them.

uv run --group dev python benchmarks/onnx_speed.py
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from ferhpo.data.raw import resized
from ferhpo.data.synthetic import render
from ferhpo.ensemble.combine import Combination
from ferhpo.ensemble.infer import Ensemble
from ferhpo.export import int8, onnx
from ferhpo.models import registry
from ferhpo.space.config import TrialConfig
from ferhpo.training.images import Preprocessing

ARCHS = ("resnet9s", "vgg8")  # taken in turns
CLASSES = tuple("abcdefg")


def measure(
    *, members: int = 5, width: int = 32, rows: int = 256, turns: int = 5, threads: int = 2
) -> dict[str, float]:
    """Return images_per_s of torch, onnx and onnx_int8, and the two ratios to torch.

    Args:
        members: nets of the ensemble, resnet9s and vgg8 in turns, each seeing an image and its mirror image.
        width: of the nets.
        rows: images of 48 x 48 a turn.
        turns: of which the best counts.
        threads: of torch and of onnxruntime.
    """
    torch.set_num_threads(threads)
    ensemble = made_up(members, width)
    images = resized(render(max(rows, 100)).images[:rows, ..., 0], 48, 1)
    with tempfile.TemporaryDirectory() as scratch:
        whole, small = Path(scratch) / "float32.onnx", Path(scratch) / "int8.onnx"
        whole.write_bytes(onnx.graph(ensemble, {}).SerializeToString())
        int8.quantise(whole, small, images[:64])
        sessions = {"onnx": onnx.session(whole, threads), "onnx_int8": onnx.session(small, threads)}
        runs = {"torch": ensemble.probabilities}
        runs |= {name: lambda x, opened=opened: onnx.run(opened, x) for name, opened in sessions.items()}
        best = dict.fromkeys(runs, 0.0)
        for _ in range(turns):
            for name, run in runs.items():
                start = time.perf_counter()
                run(images)
                best[name] = max(best[name], rows / (time.perf_counter() - start))
    found = {f"{name}_images_per_s": rate for name, rate in best.items()}
    return found | {f"{name}_speedup": best[name] / best["torch"] for name in sessions}


def made_up(members: int, width: int) -> Ensemble:
    """Return an ensemble of nets with drawn weights, their uniform mean."""
    look = Preprocessing(stored_size=48, image_size=48, channels=1, mean=(0.5,), std=(0.25,), mirror=True)
    models, cards = [], []
    for m in range(members):
        torch.manual_seed(m)
        config = TrialConfig(arch=ARCHS[m % len(ARCHS)], width=width)
        model = registry.build(config, classes=len(CLASSES), channels=1)
        models.append(model.to(memory_format=torch.channels_last).eval())
        cards.append({"config": config.params(), "preprocessing": look.to_json()})
    return Ensemble(
        classes=CLASSES,
        preprocessing={"stored_size": 48, "channels": 1},
        combination=Combination(method="uniform", weights_m=np.full(members, 1 / members)),
        models=tuple(models),
        cards=tuple(cards),
        tta="own",
        device="cpu",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("members", 5), ("width", 32), ("rows", 256), ("turns", 5), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    print(json.dumps(measure(**vars(parser.parse_args())), indent=2))
