"""Seconds of overhead a trial: no-op training through ferhpo's search, beside Ray Tune with OptunaSearch as it comes.

    uv run python benchmarks/overhead.py [--trials 100 1000] [--usual 20] [--asks 5000] [--json FILE]

Both sides run 20 epochs a trial, two trials at a time, one CPU each, without a scheduler, into SQLite; times are from
the end of the first trial to the end of the last, so that Ray's start does not count. The usual side keeps Tune's
default of a fresh actor for each trial. Beside that, seconds of an ask of the sampler in a study of many trials.
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from facts import facts, spread
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from ferhpo import _layout
from ferhpo._atomic import write_json
from ferhpo.search.budget import Limits
from ferhpo.search.events import Event, TrialEnded
from ferhpo.search.job import Job
from ferhpo.search.machine.workers import Workers
from ferhpo.search.runner import search
from ferhpo.search.sampler import FidelitySampler
from ferhpo.space.config import TrialConfig
from ferhpo.space.spec import parse_spec
from ferhpo.training.result import EpochResult

EPOCHS = 20
SPEC = """
[budget]
epochs = 20
[scheduler]
name = "none"
[space]
lr = { low = 0.001, high = 1.0, log = true, default = 0.1 }
dropout = { low = 0.0, high = 0.9, default = 0.2 }
weight_decay = { low = 1e-5, high = 1e-2, log = true, default = 5e-4 }
augment = { low = 0.0, high = 1.0, default = 0.4 }
batch_size = { choices = [64, 128], default = 128 }
optimizer = { choices = ["sgd", "adamw"], default = "sgd" }
"""


def no_op(config: TrialConfig, job: Job, resume: Path | None) -> Iterator[EpochResult]:  # noqa: ARG001 - a trainer's arguments
    """Yield the epochs of a trial at once; they take no time and leave no weights."""
    for epoch in range(1, EPOCHS + 1):
        figures = {"accuracy": quality(config.lr, epoch)}
        yield EpochResult(epoch=epoch, figures=figures, seconds=0.0, done=epoch == EPOCHS, save=save)


def save(folder: Path) -> None:
    """Write what recovery looks for."""
    write_json(folder / _layout.STATE, {})


def quality(lr: float, epoch: int) -> float:
    """Return what a training is made out to have reached."""
    return 1 / (1 + abs(lr - 0.1)) - 0.1 / epoch


@dataclass(frozen=True, kw_only=True)
class NoData:
    """Stands in for prepared images."""

    folder: Path
    source: Path | None = None
    format: str = "synthetic"
    fingerprint: str = "0" * 64
    split_digest: str = "0" * 64
    further: tuple[str, ...] = ()
    classes: tuple[str, ...] = ("a", "b")
    counts: Any = None

    def part(self, name: str) -> "NoData":  # noqa: ARG002
        """Return itself as the validation rows."""
        return self

    labels = groups = np.arange(2)


def ours(trials: int) -> float:
    """Return seconds a trial of ferhpo's search."""
    ends: list[float] = []

    def emit(event: Event) -> None:
        if isinstance(event, TrialEnded):
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        search(
            parse_spec(SPEC, name="overhead"),
            NoData(folder=Path(folder) / "data"),  # pyright: ignore[reportArgumentType]
            Path(folder),
            emit=emit,
            limits=Limits(trials=trials),
            workers=Workers(cpus=1, gpus=0, concurrency=2),
            trainer=no_op,
        )
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def usual(trials: int) -> float:
    """Return seconds a trial of Ray Tune with OptunaSearch, fresh actors, as its documentation shows it."""
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    def train(config: dict[str, Any]) -> None:
        for epoch in range(1, EPOCHS + 1):
            tune.report({"accuracy": quality(config["lr"], epoch)})

    ends: list[float] = []

    class Clock(tune.Callback):
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        space = {
            "lr": tune.loguniform(1e-3, 1.0),
            "dropout": tune.uniform(0.0, 0.9),
            "batch_size": tune.choice([64, 128]),
        }
        storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/study.db")
        tune.Tuner(
            tune.with_resources(train, {"cpu": 1}),
            param_space=space,
            tune_config=tune.TuneConfig(
                metric="accuracy",
                mode="max",
                num_samples=trials,
                search_alg=OptunaSearch(storage=storage),
                max_concurrent_trials=2,
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[Clock()]),
        ).fit()
        ray.shutdown()
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def asks(trials: int) -> list[float]:
    """Return seconds of 20 asks in a study of so many trials in memory, most of which a scheduler stopped early.

    The first that does not draw at random fits the model.
    """
    distributions = {d.name: d.distribution() for d in parse_spec(SPEC, name="overhead").space.dimensions}
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=0))
    rng = np.random.default_rng(0)
    for last in rng.choice([1, 3, 9, EPOCHS], size=trials, p=[0.66, 0.22, 0.08, 0.04]):
        trial = study.ask(distributions)
        for epoch in range(1, last + 1):
            trial.report(quality(trial.params["lr"], epoch) + rng.normal(0, 0.01), epoch)
        whole = last == EPOCHS
        state = TrialState.COMPLETE if whole else TrialState.PRUNED
        study.tell(trial, quality(trial.params["lr"], EPOCHS) if whole else None, state)
    study.sampler = FidelitySampler(EPOCHS, seed=0)
    found = []
    for _ in range(20):
        start = time.perf_counter()
        trial = study.ask(distributions)
        found.append(time.perf_counter() - start)
        study.tell(trial, quality(trial.params["lr"], EPOCHS))
    return found


def main() -> None:
    """Run both sides and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="*", default=[100, 1000], help="none leaves it out")
    parser.add_argument("--usual", type=int, default=20, help="trials of the usual side; 0 leaves it out")
    parser.add_argument("--asks", type=int, default=5000, help="trials of the study that is asked; 0 leaves it out")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found: dict[str, Any] = {"seconds_per_trial": {}}
    for trials in args.trials:
        found["seconds_per_trial"][str(trials)] = seconds = ours(trials)
        print(f"ferhpo, {trials} trials x {EPOCHS} epochs: {seconds:.3f} s a trial", flush=True)
    if args.usual:
        found["usual_seconds_per_trial"] = seconds = usual(args.usual)
        print(f"Ray Tune + OptunaSearch, {args.usual} trials: {seconds:.3f} s a trial")
    if args.asks:
        found["ask_seconds"] = told = spread(asks(args.asks))
        print(f"asks at {args.asks} trials: median {told['median']:.3f} s, longest {told['high']:.3f} s")
    if args.json:
        write_json(args.json, found | facts())


if __name__ == "__main__":
    main()
