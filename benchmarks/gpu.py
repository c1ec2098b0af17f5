"""Seconds of an epoch of the default net on a GPU, and trials an hour with 1, 2, 4 and 8 of them at a time on it.

    uv run python benchmarks/gpu.py [--data fer2013.csv] [--rounds 3] [--json FILE]

An epoch is one of `training.loop`, validation included; the one before, in which kernels are built, is not counted. A
trial is the default one of `studies/fer2013.toml` with all of its epochs, so none that is stopped early: what is timed
is the steps of so many processes at once, as `search.machine.timing` times them, without validations and a trial's
start. Without --data rendered faces serve.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from facts import STUDY, facts, said, spread
from trainer import ACCURACY, open_images

from ferhpo._atomic import write_json
from ferhpo.data.cache import Prepared
from ferhpo.errors import SearchError
from ferhpo.search.machine.timing import probe
from ferhpo.search.machine.workers import ON_A_GPU, Machine
from ferhpo.space.config import TrialConfig
from ferhpo.space.spec import read_spec
from ferhpo.training.images import free_memory
from ferhpo.training.loop import train


def epoch_seconds(data: Prepared, rounds: int, device: str = "cuda") -> dict[str, float]:
    """Return the seconds of an epoch of the default net."""
    results = train(TrialConfig(epochs=rounds + 1), data, metric=ACCURACY, device=device)
    next(results)
    return spread([result.seconds for result in results])


def trials_an_hour(data: Prepared, rounds: int) -> dict[str, dict[str, float]] | None:
    """Return trials an hour by trials at a time, those numbers that fit into the memory and have a CPU each.

    None where they cannot be measured, which is printed.
    """
    spec = read_spec(STUDY)
    images = spec.budget.epochs * len(data.part("train").rows)
    machine = Machine(cpus=os.cpu_count() or 1, gpus=1, memory=free_memory())
    try:
        found = [probe(machine, spec.space.default_config(), data).rates for _ in range(rounds)]
    except SearchError as error:
        print(f"trials an hour could not be measured: {error}")
        return None
    hourly = {n: [3600 * rates[n] / images for rates in found if n in rates] for n in ON_A_GPU}
    return {str(n): spread(values) for n, values in hourly.items() if values}


def main() -> None:
    """Measure and print, or say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="csv or class folders; rendered faces without it")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found: dict[str, Any] = {"epoch_seconds": None, "trials_an_hour": None}
    if not torch.cuda.is_available():
        print("seconds of an epoch and trials an hour on a GPU need a GPU, torch sees none here; run this where one is")
    else:
        with tempfile.TemporaryDirectory() as name:
            data = open_images(args.data, Path(name))
            rows = len(data.part("train").rows)
            hourly = trials_an_hour(data, args.rounds)  # first: a training here would take of the GPU's memory
            found = {"rows": rows, "epoch_seconds": epoch_seconds(data, args.rounds), "trials_an_hour": hourly}
            print(f"seconds of an epoch ({rows} training rows): {said(found['epoch_seconds'])}")
            for n, values in (hourly or {}).items():
                print(f"trials an hour, {n} at a time: {said(values)}")
    if args.json:
        write_json(args.json, found | facts())


if __name__ == "__main__":
    main()
