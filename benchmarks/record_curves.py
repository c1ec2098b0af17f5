"""Records learning curves of real trials for `search_sim.py`: random configurations of `recorded.SPACE` on FER-2013.

    uv run python benchmarks/record_curves.py --data fer2013.csv [--trials 160] [--jobs 2] [--out FILE]

Trains 12 epochs on an eighth of the training rows at 24 pixels and validates on half of the validation rows; nets of
width 8 and 16, one thread each. Writes after each trial, and goes on where it was ended: on the same machine, since
seconds are compared. 160 trials took 1.7 hours of one core that has AVX2 alone.
"""

import argparse
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from recorded import EPOCHS, FILE, SPEC, read, write

from ferhpo._seeding import derive
from ferhpo.data.cache import Prepared, open_prepared, prepare
from ferhpo.errors import TrainingError
from ferhpo.metrics import metric
from ferhpo.space.config import TrialConfig
from ferhpo.training.loop import train

TRAIN_SHARE, VAL_SHARE = 8, 2  # one row in so many is used


def configuration(number: int) -> tuple[TrialConfig, dict[str, Any]]:
    """Return the random configuration of a number, the same at every start, and its sampled parameters."""
    seed = derive(0, "recorded", number)
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed % 2**32)).ask()
    config = SPEC.space.sample(trial)
    return config.with_params({"epochs": EPOCHS, "seed": seed}), trial.params


def fewer(data: Prepared) -> Prepared:
    """Return the data with one row in TRAIN_SHARE and in VAL_SHARE, the same for all trials."""
    split, rng = np.array(data.split), np.random.default_rng(0)
    for part, share in ((data.part("train"), TRAIN_SHARE), (data.part("val"), VAL_SHARE)):
        split[rng.permutation(part.rows)[len(part.rows) // share :]] = -1
    return replace(data, split=split)


def record(number: int, data: Prepared, epochs: int) -> dict[str, Any]:
    """Train a configuration and return its line; from the epoch in which the loss is not finite on, it is at chance."""
    config, params = configuration(number)
    values: list[float] = []
    seconds: list[float] = []
    start = time.perf_counter()
    try:
        for result in train(config, data, metric=metric("accuracy")):
            values.append(round(result.figures["accuracy"], 5))
            seconds.append(round(result.seconds, 2))
            if result.epoch == epochs:
                break
    except TrainingError as error:
        print(f"{number}: {error}")
        missing = epochs - len(values)
        values += [round(1 / len(data.classes), 5)] * missing
        seconds += [seconds[-1] if seconds else time.perf_counter() - start] * missing
    return {"number": number, "params": params, "values": values, "seconds": seconds}


def run(number: int, folder: Path, epochs: int) -> dict[str, Any]:
    """Record a configuration in a process of its own."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return record(number, fewer(open_prepared(folder)), epochs)


def main() -> None:
    """Record what is missing of the first ``--trials`` configurations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="fer2013.csv; rendered faces without it, to try the script")
    parser.add_argument("--trials", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="fewer only to try the script: none is used then")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args()
    done = read(args.out)
    missing = sorted({*range(args.trials)} - {trial["number"] for trial in done})
    with tempfile.TemporaryDirectory() as cache, ProcessPoolExecutor(args.jobs, get_context("spawn")) as pool:
        spec = replace(SPEC.data, format="auto" if args.data else "synthetic")
        folder = prepare(spec, args.data, Path(cache)).folder
        for future in as_completed([pool.submit(run, number, folder, args.epochs) for number in missing]):
            line = future.result()
            done.append(line)
            write(sorted(done, key=lambda trial: trial["number"]), args.out)
            print(f"{line['number']}: {line['values'][-1]:.3f} in {sum(line['seconds']):.0f} s", flush=True)


if __name__ == "__main__":
    main()
