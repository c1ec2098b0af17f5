"""A step of training with memory that is kept between steps (`ferhpo/training/heap.py`) beside one without, in turns.

    uv run python benchmarks/kept_memory.py [--width 32] [--batch 128] [--threads N] [--repeat 15] [--json FILE]

The net, optimiser and moving average of studies/fer2013.toml's defaults on random images, in bf16 where the processor
has it, else in float32 with minimal filtering; each side in a process of its own. Printed are how many times as fast a
step is, and the page faults of a step on each side.
"""

import argparse
import resource
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch
from facts import STUDY, cpu, facts, spread
from turns import beside, in_turns, ratio

from ferhpo._atomic import write_json
from ferhpo.models.registry import build
from ferhpo.space.config import TrialConfig
from ferhpo.space.spec import read_spec
from ferhpo.training import heap, losses
from ferhpo.training.precision import Precision
from ferhpo.training.step import Step


def steps(config: TrialConfig, threads: int, *, keeps: bool) -> Callable[[], int]:
    """Return what does one step more and returns its page faults."""
    if keeps:
        heap.keep()
    torch.set_num_threads(threads)
    model = build(config, classes=7, channels=1).to(memory_format=torch.channels_last).train()
    counts_c = torch.ones(7)
    short = "bf16" in cpu()
    chosen = Precision(format="bf16" if short else "fp32", channels_last=True, winograd=not short)
    update = Step(model, config, losses.build(config, counts_c), chosen, "cpu")
    x = torch.rand(config.batch_size, 1, config.image_size, config.image_size).to(memory_format=torch.channels_last)
    targets = counts_c.expand(len(x), -1) / len(counts_c)

    def step() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        update(x, targets, lr=1e-4, t=0)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    return step


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    config = read_spec(STUDY).space.default_config()
    config = config.with_params({"width": args.width, "batch_size": args.batch})
    faults: dict[str, list[int]] = {"kept": [], "returned": []}
    with ExitStack() as stack:
        ways = {}
        for name, found in faults.items():
            step = stack.enter_context(beside(partial(steps, config, args.threads, keeps=name == "kept")))
            ways[name] = lambda step=step, found=found: found.append(step())
        in_turns(ways, 3)  # the first steps build kernels
        times = in_turns(ways, args.repeat)
    gain = ratio(times["returned"], times["kept"])
    by_side = {name: spread(found[-args.repeat :]) for name, found in faults.items()}
    print("{median:.2f} ({low:.2f} to {high:.2f}) times as fast".format(**gain))
    print(
        ", ".join(f"{found['median']:.0f} page faults a step where memory is {name}" for name, found in by_side.items())
    )
    if args.json:
        of = {"width": args.width, "batch": args.batch, "threads": args.threads}
        write_json(args.json, {**of, "speedup": gain, "page_faults": by_side} | facts())


if __name__ == "__main__":
    main()
