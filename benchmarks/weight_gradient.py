"""The gradient of 3 x 3 convolutions' weights in float32: minimal filtering beside torch's own (oneDNN), in turns.

    uv run python benchmarks/weight_gradient.py [--repeat 9] [--threads N] [--json FILE]

For layers of several sizes at a batch of 128: how many times as fast, and how far each is from float64's (the largest
difference over the largest gradient). Last the forward and backward pass of the default net, which has such layers.
"""

import argparse
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from facts import facts
from turns import in_turns, ratio

from ferhpo._atomic import write_json
from ferhpo.models.registry import build
from ferhpo.space.config import TrialConfig
from ferhpo.training.winograd import Winograd, weight_gradient

BATCH = 128
LAYERS = [  # channels in, out, and pixels a side
    *((32, 32, 24), (32, 64, 24), (64, 64, 24), (64, 128, 24), (64, 64, 12), (64, 128, 12), (128, 128, 12)),
    *((64, 64, 6), (128, 256, 6), (256, 256, 6), (256, 256, 3)),
]


def own(x: torch.Tensor, dy: torch.Tensor) -> torch.Tensor:
    """Return torch's gradient of the weights."""
    weights = x.new_empty(dy.shape[1], x.shape[1], 3, 3).to(memory_format=torch.channels_last)
    rest = (None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1, (False, True, False))
    return torch.ops.aten.convolution_backward(dy, x, weights, *rest)[1]


def speedup(ways: Mapping[str, Callable[[], object]], repeat: int) -> dict[str, float]:
    """Return how many times as fast ours is."""
    in_turns(ways, 1)  # the first calls build kernels
    times = in_turns(ways, repeat)
    return ratio(times["torch"], times["ours"])


def of_layer(c: int, k: int, side: int, repeat: int, batch: int = BATCH) -> dict[str, Any]:
    """Return a layer's figures."""
    x, dy = (torch.randn(batch, n, side, side).to(memory_format=torch.channels_last) for n in (c, k))
    exact = own(x.double(), dy.double())
    ways = {"ours": lambda: weight_gradient(x, dy, (1, 1)), "torch": lambda: own(x, dy)}
    errors = {name: float((way() - exact).abs().max() / exact.abs().max()) for name, way in ways.items()}
    return {"layer": f"{c} -> {k}, {side} px", "speedup": speedup(ways, repeat), "error": errors}


def of_net(config: TrialConfig, repeat: int) -> dict[str, float]:
    """Return how many times as fast the passes of a net are."""
    model = build(config, classes=7, channels=1).to(memory_format=torch.channels_last)
    x = torch.rand(config.batch_size, 1, config.image_size, config.image_size).to(memory_format=torch.channels_last)

    def passes(way: AbstractContextManager[object]) -> None:
        with way:
            loss = model(x).square().mean()
        model.zero_grad()
        loss.backward()

    return speedup({"ours": lambda: passes(Winograd()), "torch": lambda: passes(nullcontext())}, repeat)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    told = "{median:.2f} ({low:.2f} to {high:.2f}) times as fast".format
    layers = []
    for layer in LAYERS:
        layers.append(found := of_layer(*layer, args.repeat))
        errors = ", ".join(f"{name} {error:.1e}" for name, error in found["error"].items())
        print(f"{found['layer']:18} {told(**found['speedup'])}; error: {errors}", flush=True)
    net = of_net(TrialConfig(), args.repeat)
    print(f"{'default net':18} {told(**net)}")
    if args.json:
        write_json(args.json, {"threads": args.threads, "layers": layers, "net_speedup": net} | facts())


if __name__ == "__main__":
    main()
