"""Curves of real trials as one more family of `search_sim.py`.

`record_curves.py` writes them: configurations and their validation accuracy after each epoch, with the seconds of an
epoch. A search asks for configurations that nobody trained, so a regression stands between: a forest over the unit
values of the parameters, an output an epoch. An instance draws its own bootstrap sample of the recorded trials, so that
instances differ as much as the recording leaves open. Noise is normal, with the standard deviation of the recorded
curves around their three-epoch means. No method sees the regression or the recorded trials.
"""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from curves import Instance, Params
from optuna.trial import BaseTrial

from ferhpo._atomic import write_bytes
from ferhpo.search.encoding import Encoding
from ferhpo.space.spec import parse_spec

FILE = Path(__file__).with_name("curves.jsonl.gz")
SPACE = """
[data]
size = 24
[budget]
epochs = 12
[space]
arch = { choices = ["resnet9s", "vgg8"], default = "resnet9s" }
image_size = 24
width = { choices = [8, 16], default = 16 }
optimizer = { choices = ["sgd", "adamw"], default = "sgd" }
lr = { low = 0.0003, high = 1.0, log = true, default = 0.05 }
momentum = { low = 0.6, high = 0.98, default = 0.9, when = { optimizer = "sgd" } }
batch_size = { choices = [32, 64, 128, 256], default = 128 }
weight_decay = { low = 1e-6, high = 1e-1, log = true, default = 5e-4 }
dropout = { low = 0.0, high = 0.6, default = 0.2 }
loss = { choices = ["cross_entropy", "label_smoothing"], default = "cross_entropy" }
smoothing = { low = 0.02, high = 0.3, default = 0.1 }
augment = { low = 0.0, high = 1.0, default = 0.4 }
schedule = { choices = ["onecycle", "cosine"], default = "onecycle" }
ema = { choices = [0.0, 0.99], default = 0.0 }
"""
SPEC = parse_spec(SPACE, name="recorded")
EPOCHS = SPEC.budget.epochs


def read(path: Path = FILE) -> list[dict[str, Any]]:
    """Return the recorded trials, by number: params, values and seconds by epoch; [] without a file."""
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write(trials: list[dict[str, Any]], path: Path = FILE) -> None:
    """Write recorded trials, all or nothing."""
    lines = "".join(json.dumps(trial, separators=(",", ":")) + "\n" for trial in trials)
    write_bytes(path, gzip.compress(lines.encode(), mtime=0))


def family(trials: list[dict[str, Any]]) -> Callable[[int], Instance]:
    """Return what makes instances from recorded trials, each of EPOCHS values."""
    encoding = Encoding({d.name: d.distribution() for d in SPEC.space.dimensions})
    rows = encoding.features(np.array([encoding.row(t["params"]) for t in trials]))
    values = np.array([t["values"] for t in trials], float)
    seconds = np.array([np.mean(t["seconds"]) for t in trials])
    rough = values[:, 1:-1] - (values[:, :-2] + values[:, 1:-1] + values[:, 2:]) / 3
    noise = float(np.std(rough) * np.sqrt(1.5))  # a mean of three keeps a third of what is its own

    def made(seed: int) -> Instance:
        from sklearn.ensemble import ExtraTreesRegressor

        drawn = np.random.default_rng(seed).integers(len(trials), size=len(trials))
        forest = ExtraTreesRegressor(n_estimators=20, min_samples_leaf=2, random_state=seed)
        forest.fit(rows[drawn], np.column_stack([values, np.log(seconds)])[drawn])
        trees = [tree.tree_ for tree in forest.estimators_]
        known: dict[str, np.ndarray] = {}

        def predicted(params: Params) -> np.ndarray:
            key = repr(sorted(params.items()))
            if key not in known:
                x = encoding.features(encoding.row(params)[None]).astype(np.float32)
                known[key] = np.mean([tree.predict(x)[0].ravel() for tree in trees], axis=0)
            return known[key]

        def cost(params: Params) -> float:
            return float(np.exp(predicted(params)[-1]))

        def curve(params: Params) -> np.ndarray:
            return predicted(params)[:-1]

        return Instance(suggest=suggest, curve=curve, cost=cost, key=seed, epochs=EPOCHS, noise=noise)

    return made


def suggest(trial: BaseTrial) -> Params:
    """Ask a trial for the recorded space, conditions included."""
    SPEC.space.sample(trial)
    return dict(trial.params)
