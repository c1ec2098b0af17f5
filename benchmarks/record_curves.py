"""Records learning curves of real trials for `search_sim.py`: random configurations of `recorded.SPACE` on FER-2013.

    uv run python benchmarks/record_curves.py --data fer2013.csv [--trials 160] [--threads 1] [--out FILE]

Trains on a quarter of Training at 24 pixels, validates on the validation split, nets up to width 32, 12 epochs; 160
trials take about 90 minutes on 2 cores. Writes after each trial, and goes on where it was ended.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from recorded import EPOCHS, FILE, SPEC, read, write

from ferhpo._seeding import derive
from ferhpo.data.cache import Prepared, prepare
from ferhpo.errors import TrainingError
from ferhpo.metrics import metric
from ferhpo.space.config import TrialConfig
from ferhpo.training.loop import train

SHARE = 4  # one training row in so many is trained on


def configuration(number: int) -> tuple[TrialConfig, dict[str, Any]]:
    """Return the random configuration of a number, the same at every start, and its sampled parameters."""
    seed = derive(0, "recorded", number)
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed % 2**32)).ask()
    config = SPEC.space.sample(trial)
    return config.with_params({"epochs": EPOCHS, "seed": seed}), trial.params


def quarter(data: Prepared) -> Prepared:
    """Return the data with one training row in SHARE, drawn once for all trials."""
    split, train_rows = np.array(data.split), data.part("train").rows
    left_out = np.random.default_rng(0).permutation(train_rows)[len(train_rows) // SHARE :]
    split[left_out] = -1
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


def main() -> None:
    """Record what is missing of the first ``--trials`` configurations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="fer2013.csv; rendered faces without it, to try the script")
    parser.add_argument("--trials", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="fewer only to try the script: none is used then")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    done = read(args.out)
    with tempfile.TemporaryDirectory() as cache:
        spec = replace(SPEC.data, format="auto" if args.data else "synthetic")
        data = quarter(prepare(spec, args.data, Path(cache)))
        for number in range(args.trials):
            if number in {trial["number"] for trial in done}:
                continue
            start = time.perf_counter()
            line = record(number, data, args.epochs)
            done.append(line)
            write(done, args.out)
            print(f"{number}: {line['values'][-1]:.3f} in {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
