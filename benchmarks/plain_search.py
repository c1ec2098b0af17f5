"""A search as a careful user writes it today: Ray Tune, OptunaSearch and ASHA around the usual training loop.

    uv run python benchmarks/plain_search.py FOLDER --minutes 30

FOLDER holds train/CLASS/*.png and val/CLASS/*.png. The space is that of studies/fer2013.toml; nets and Muon are
ferhpo's, as they would be somebody's own. Everything else is the usual way (`usual.py`): ImageFolder, PIL transforms,
DataLoader, fp32.
"""

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna
    import torch

EPOCHS, GRACE, REDUCTION = 8, 2, 3
Config = Mapping[str, Any]
Train = Callable[[dict[str, Any]], None]


def space(trial: "optuna.Trial") -> None:
    """Ask for a configuration."""
    trial.suggest_categorical("arch", ["resnet9s", "vgg8"])
    trial.suggest_categorical("width", [16, 24, 32, 48])
    trial.suggest_categorical("activation", ["relu", "gelu"])
    trial.suggest_categorical("optimizer", ["muon", "sgd"])
    trial.suggest_float("lr", 0.003, 0.3, log=True)
    trial.suggest_categorical("batch_size", [64, 128])
    trial.suggest_float("weight_decay", 1e-5, 0.05, log=True)
    trial.suggest_float("dropout", 0.0, 0.4)
    trial.suggest_float("augment", 0.1, 0.8)
    loss = trial.suggest_categorical("loss", ["cross_entropy", "label_smoothing", "focal"])
    if loss == "label_smoothing":
        trial.suggest_float("smoothing", 0.02, 0.2)
    if loss == "focal":
        trial.suggest_float("focal_gamma", 0.5, 2.0)


def train(config: Config, folder: Path) -> None:
    """Train one configuration and report its validation accuracy after every epoch."""
    import torch
    import usual
    from ray import tune

    from ferhpo.models import registry
    from ferhpo.space.config import TrialConfig
    from ferhpo.training import optim

    chosen = TrialConfig.from_params(config)
    training = usual.loader(folder / "train", chosen.batch_size, size=48, training=True, strength=chosen.augment)
    validation = usual.loader(folder / "val", 256, size=48, training=False)
    model = registry.build(chosen, classes=len(training.dataset.classes), channels=1)  # pyright: ignore[reportAttributeAccessIssue]
    optimizer = optim.build(model, chosen)
    steps = EPOCHS * len(training)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, chosen.lr, total_steps=steps, cycle_momentum=False)
    for _ in range(EPOCHS):
        usual.epoch(model, training, optimizer, loss_of=partial(loss_of, config), schedule=schedule)
        tune.report({"accuracy": usual.accuracy(model, validation)})


def loss_of(config: Config, logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
    """Return the loss that a configuration names."""
    from torch.nn.functional import cross_entropy

    if config["loss"] == "focal":
        entropy = cross_entropy(logits, labels, reduction="none")
        return ((1 - (-entropy).exp()) ** config["focal_gamma"] * entropy).mean()
    return cross_entropy(logits, labels, label_smoothing=config.get("smoothing", 0.0))


def search(
    train: Train,
    seconds: float,
    note: Callable[[dict[str, Any]], None],
    *,
    seed: int = 0,
    first: Sequence[dict[str, Any]] = (),
) -> None:
    """Search until time is up, one CPU a trial, as many trials at a time as there are CPUs.

    Args:
        train: a function for Ray Tune.
        seconds: after which Tune stops everything.
        note: is told of every epoch (trial, value) and of every trial that ended (trial).
        seed: of Optuna's sampler.
        first: configurations to begin with.
    """
    os.environ |= {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "RAY_USAGE_STATS_ENABLED": "0"}  # before Ray is imported
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    class Notes(tune.Callback):
        def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:  # noqa: ARG002
            note({"trial": trial.trial_id, "value": result["accuracy"]})

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
            note({"trial": trial.trial_id})

    began = time.monotonic()
    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            tune.with_resources(train, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                metric="accuracy",
                mode="max",
                search_alg=OptunaSearch(space, metric="accuracy", mode="max", seed=seed, points_to_evaluate=[*first]),
                scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=GRACE, reduction_factor=REDUCTION),
                num_samples=-1,
                time_budget_s=seconds - (time.monotonic() - began),
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[Notes()]),
        ).fit()
    ray.shutdown()


def main() -> None:
    """Search and print every epoch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    search(partial(train, folder=args.folder.resolve()), 60 * args.minutes, print, seed=args.seed)


if __name__ == "__main__":
    main()
