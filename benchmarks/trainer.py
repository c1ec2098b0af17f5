"""Images a second of ferhpo's training loop beside the usual one, same net, same batch, in turns.

    uv run python benchmarks/trainer.py [--data fer2013.csv] [--quick] [--json FILE]
    uv run python benchmarks/trainer.py --data fer2013.csv --time-to-060

The usual loop is `usual.py`: ImageFolder, PIL transforms, DataLoader(num_workers=2), fp32, default memory format. Both
sides use all cores, each in a process of its own. Without --data rendered faces serve. `--time-to-060` trains ours with
the recipe of `ferhpo train --minutes M` and the usual one with Adam at 1e-3, and compares when each first validates at
0.60.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
import usual
from facts import STUDY, cpu, facts, said, spread
from turns import beside, ratio

from ferhpo._atomic import write_json
from ferhpo.cli.train import fitted
from ferhpo.data.cache import Prepared, prepare
from ferhpo.metrics import metric
from ferhpo.models import registry
from ferhpo.space.config import TrialConfig
from ferhpo.space.sections import DataSpec
from ferhpo.space.spec import read_spec
from ferhpo.training import cost
from ferhpo.training.feed import Feed
from ferhpo.training.images import Preprocessing
from ferhpo.training.loop import train
from ferhpo.training.precision import gpu_has_bf16

ACCURACY = metric("accuracy")


def device() -> str:
    """Return cuda where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def some(data: Prepared, rows: int) -> Prepared:
    """Return the data with the first ``rows`` shuffled training images and 64 validation images."""
    split = np.full(len(data.split), -1, np.int8)
    for name, count in (("train", rows), ("val", 64)):
        part = data.part(name)  # pyright: ignore[reportArgumentType]
        kept = np.random.default_rng(0).permutation(part.rows)[:count]
        split[kept] = data.split[kept]
    return replace(data, split=split)


def open_images(path: Path | None, cache: Path) -> Prepared:
    """Prepare a csv or folder, or render faces."""
    return prepare(DataSpec(format="auto" if path else "synthetic"), path, cache)


def matmul(side: int = 2048) -> float:
    """Return GFLOP/s of a bf16 matrix product, of a float32 one where bf16 is emulated, minutes for each on a CPU."""
    has_bf16 = gpu_has_bf16(device()) if device() == "cuda" else "bf16" in cpu()
    kind = torch.bfloat16 if has_bf16 else torch.float32
    a, b = (torch.randn(side, side, device=device(), dtype=kind) for _ in range(2))
    best, products = float("inf"), 50 if device() == "cuda" else 1  # a GPU has one done before it could be timed
    for _ in range(8):
        start = time.perf_counter()
        for _ in range(products):
            torch.mm(a, b)
        if device() == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 * products / best / 1e9


def speed(data: Prepared, folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    """Train an epoch of ours, one of the usual loop, and so on; return rates, their ratio and shares."""
    config = TrialConfig(epochs=rounds + 1)
    few = some(data, rows)
    ours = train(config, few, metric=ACCURACY, device=device())
    images = usual.write_folders(few.part("train"), data.classes, folder / "images")
    first = next(ours)  # builds kernels, and the probe of the precision stands before it
    rates: dict[str, list[float]] = {"ours": [], "usual": [], "matmul": []}
    with beside(partial(usual_epochs, config, len(data.classes), images)) as usual_epoch:
        usual_epoch()
        for _ in range(rounds):
            rates["matmul"].append(matmul())
            rates["ours"].append(next(ours).images_per_second)
            rates["usual"].append(usual_epoch().images_per_second)
    flops = cost.flops(cost.untrained(config, classes=7, channels=1), channels=1, size=config.image_size)
    flop = 3 * flops  # backward takes twice as many as forward
    feeds = feed_seconds(config, few, rounds)
    return {
        "speedup": ratio(rates["ours"], rates["usual"]),
        "images_per_s": {name: spread(rates[name]) for name in ("ours", "usual")},
        "matmul_gflops": spread(rates["matmul"]),
        "matmul_fraction": spread([o * flop / 1e9 / m for o, m in zip(rates["ours"], rates["matmul"], strict=True)]),
        "augment_share": spread([s * o / rows for s, o in zip(feeds, rates["ours"], strict=True)]),
        "precision": first.details["precision"],
        "precision_why": first.details["precision_why"],
        "net": {"arch": config.arch, "width": config.width, "mmac": flops / 2e6, "batch": config.batch_size},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class UsualEpoch:
    """What an epoch of the usual loop came to; seconds and accuracy with validation, where there is one."""

    images_per_second: float
    seconds: float
    accuracy: float


def usual_epochs(config: TrialConfig, classes: int, images: Path, val: Path | None = None) -> Callable[[], UsualEpoch]:
    """Return what trains one more epoch of the usual loop, with Adam at 1e-3 and no schedule, and validates it."""
    batches = usual.loader(images, config.batch_size, size=config.image_size, training=True)
    held_out = None if val is None else usual.loader(val, config.batch_size, size=config.image_size, training=False)
    model = registry.build(config, classes=classes, channels=1).to(device())
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def epoch() -> UsualEpoch:
        start = time.perf_counter()
        rate = usual.epoch(model, batches, optimizer, device())
        accuracy = math.nan if held_out is None else usual.accuracy(model, held_out, device())
        return UsualEpoch(images_per_second=rate, seconds=time.perf_counter() - start, accuracy=accuracy)

    return epoch


def feed_seconds(config: TrialConfig, data: Prepared, rounds: int) -> list[float]:
    """Return the seconds of passes of the augmented batches alone, after one that is not counted."""
    feed = Feed(config, data, Preprocessing.of(config, data), device(), torch.channels_last)
    found = []
    for epoch in range(rounds + 1):
        start = time.perf_counter()
        for x, _ in feed.batches(epoch):
            if device() == "cuda":
                x.sum().item()  # waits for it
        found.append(time.perf_counter() - start)
    return found[1:]


def peak_rss(data: Prepared) -> float:
    """Return this process's peak resident memory in GiB while it trained at batch 256 for half a minute."""
    few = some(data, len(data.part("train").rows))  # to validate all might take longer than there is time
    cost.forget_peak("cpu")
    for _ in train(TrialConfig(batch_size=256), few, metric=ACCURACY, device=device(), seconds=30):
        pass
    return cost.peak_mib("cpu") / 1024


def apart(part: str, args: argparse.Namespace, **env: str) -> dict[str, Any]:
    """Run one part of this script in a process of its own and return what it found."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        command = [sys.executable, __file__, "--part", part, "--json", str(out)]
        command += ["--data", str(args.data)] if args.data else []
        command += ["--quick"] if args.quick else []
        subprocess.run(command, check=True, env={**os.environ, **env})
        return json.loads(out.read_text())


def time_to(
    target: float, side: str, epochs: Iterable[tuple[float, float]], cap: float = math.inf
) -> tuple[float | None, list[float]]:
    """Return the seconds after which a side first validates at the target, and the values by epoch.

    Args:
        target: an accuracy.
        side: for people.
        epochs: seconds and accuracy of each.
        cap: seconds after which the side is given up.
    """
    spent, values = 0.0, []
    for seconds, value in epochs:
        spent += seconds
        values.append(value)
        print(f"  {side}: epoch {len(values)}, {spent:.0f} s: {value:.4f}", flush=True)
        if value >= target:
            return spent, values
        if spent >= cap:
            break
    return None, values


def main() -> None:
    """Run the parts asked for and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="csv or class folders; rendered faces without it")
    parser.add_argument("--quick", action="store_true", help="a rough answer in two minutes")
    parser.add_argument("--time-to-060", action="store_true", help="the long run, which needs --data")
    parser.add_argument("--minutes", type=float, default=5.0, help="budget of our side of --time-to-060")
    parser.add_argument("--cap", type=float, default=90.0, help="minutes after which the usual side is given up")
    parser.add_argument("--part", choices=("speed", "rss"), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = open_images(args.data, folder / "cache")
        if args.time_to_060:
            found = long_run(args, data, folder)
        elif args.part == "speed":
            rows, rounds = (1024, 2) if args.quick else (2560, 5)
            if device() == "cuda":  # where so few would be over before the usual loop's workers had started
                rows = len(data.part("train").rows)
            found = speed(data, folder, rows, rounds)
        elif args.part == "rss":
            found = {"peak_rss_gib": spread([peak_rss(data)])}
        else:
            found = everything(args)
    if args.json:
        write_json(args.json, found if args.part else found | facts())


def everything(args: argparse.Namespace) -> dict[str, Any]:
    """Measure speed, speed without AMX and avx512_bf16, and memory, each in a process of its own; print a table."""
    whole = apart("speed", args)
    no_amx = whole if device() == "cpu" else None
    if no_amx and "bf16" in cpu():  # else it was measured without such instructions already
        no_amx = apart("speed", args, ONEDNN_MAX_CPU_ISA="AVX512_CORE")
    found = {
        **whole,
        "speedup_no_amx": no_amx and no_amx["speedup"],
        "images_per_s_no_amx": no_amx and no_amx["images_per_s"],
        "peak_rss_gib": None if args.data is None else apart("rss", args)["peak_rss_gib"],
        "time_to_060_ratio": None,
    }
    ours, theirs = (found["images_per_s"][side]["median"] for side in ("ours", "usual"))
    print(f"ours {ours:.0f} images/s ({found['precision']}; {found['precision_why']}), usual {theirs:.0f}")
    for name in ("speedup", "speedup_no_amx", "matmul_gflops", "matmul_fraction", "augment_share", "peak_rss_gib"):
        if found[name]:
            print(f"{name}: {said(found[name])}")
    return found


def long_run(args: argparse.Namespace, data: Prepared, folder: Path) -> dict[str, Any]:
    """Compare the seconds to 0.60 validation accuracy, ours first."""
    if args.data is None:
        return {"time_to_060_ratio": None}
    seconds = 60 * args.minutes
    spec = read_spec(STUDY)
    config = fitted(spec, spec.space.default_config(), data, device(), seconds)
    train_folder = usual.write_folders(data.part("train"), data.classes, folder / "train")
    val_folder = usual.write_folders(data.part("val"), data.classes, folder / "val")
    results = train(config, data, metric=ACCURACY, device=device(), seconds=seconds)
    ours, our_values = time_to(0.6, "ours", ((r.seconds, r.figures["accuracy"]) for r in results))
    with beside(partial(usual_epochs, config, len(data.classes), train_folder, val_folder)) as usual_epoch:
        epochs = (usual_epoch() for _ in repeat(None))
        theirs, their_values = time_to(0.6, "usual", ((e.seconds, e.accuracy) for e in epochs), 60 * args.cap)
    found = ratio([theirs or 60 * args.cap], [ours]) if ours else None
    bound = "at least " if ours and not theirs else ""  # the usual side was given up, so it takes longer than that
    print(f"seconds to 0.60: ours {ours}, usual {theirs}, ratio {bound}{said(found) if found else None}")
    return {
        "time_to_060_ratio": found,
        "time_to_060_ratio_is_a_lower_bound": theirs is None,
        "seconds_to_060": {"ours": ours, "usual": theirs},
        "width": config.width,
        "accuracy_by_epoch": {"ours": our_values, "usual": their_values},
    }


if __name__ == "__main__":
    main()
