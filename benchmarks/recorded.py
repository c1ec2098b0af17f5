"""Curves of real trials as one more family of `search_sim.py`; run, it prints how well regressions predict them.

    uv run python benchmarks/recorded.py

`record_curves.py` writes them: configurations and their validation accuracy after each epoch, with the seconds of an
epoch. A search asks for configurations that nobody trained, so a regression stands between, chosen by how well it
predicts recorded trials that it was not fitted to (see docs/search.md): scikit-learn's Gaussian process with a Gaussian
kernel, a length a parameter, over the unit values, an output an epoch. An instance draws its own bootstrap sample of
the recorded trials, so that instances differ as much as the recording leaves open. Noise is normal, with the standard
deviation of the recorded curves around their three-epoch means. No method sees the regression or the recorded trials.
"""

import argparse
import gzip
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from curves import Instance, Params
from optuna.trial import BaseTrial

from ferhpo._atomic import write_bytes
from ferhpo.search.surrogate.encoding import Encoding
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
IN_USE = "Gaussian process, Gaussian kernel"


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


def arrays(trials: list[dict[str, Any]]) -> tuple[Encoding, np.ndarray, np.ndarray]:
    """Return the encoding, features (n, columns), and targets (n, EPOCHS + 1): values, and the logarithm of seconds."""
    encoding = Encoding({d.name: d.distribution() for d in SPEC.space.dimensions})
    features = encoding.features(np.array([encoding.row(t["params"]) for t in trials]))
    seconds = np.log([np.mean(t["seconds"]) for t in trials])
    return encoding, features, np.column_stack([np.array([t["values"] for t in trials], float), seconds])


def regressions(columns: int) -> dict[str, Any]:
    """Return what might stand between recordings and a search, by name."""
    from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, Matern, WhiteKernel

    lengths: Any = np.ones(columns)
    kernels = {"Gaussian": RBF(lengths, (0.1, 30.0))}
    kernels |= {f"Matern {2 * nu:.0f}/2": Matern(lengths, (0.1, 30.0), nu=nu) for nu in (2.5, 1.5, 0.5)}
    processes = {
        f"Gaussian process, {name} kernel": GaussianProcessRegressor(kernel + WhiteKernel(0.1), normalize_y=True)
        for name, kernel in kernels.items()
    }
    return processes | {
        "20 extremely randomised trees": ExtraTreesRegressor(20, min_samples_leaf=2, random_state=0),
        "200 extremely randomised trees": ExtraTreesRegressor(200, min_samples_leaf=2, random_state=0),
        "200 trees of a random forest": RandomForestRegressor(200, random_state=0),
    }


def family(trials: list[dict[str, Any]]) -> Callable[[int], Instance]:
    """Return what makes instances from recorded trials, each of EPOCHS values."""
    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning

    encoding, rows, targets = arrays(trials)
    values = targets[:, :-1]
    rough = values[:, 1:-1] - (values[:, :-2] + values[:, 1:-1] + values[:, 2:]) / 3
    noise = float(np.std(rough) * np.sqrt(1.5))  # a mean of three keeps a third of what is its own
    fitted = regressions(rows.shape[1])[IN_USE]
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):  # a length at the end of its range
        fitted.fit(rows, targets)

    def made(seed: int) -> Instance:
        drawn = np.random.default_rng(seed).integers(len(trials), size=len(trials))
        process: Any = clone(fitted)
        process.set_params(kernel=fitted.kernel_, optimizer=None).fit(rows[drawn], targets[drawn])
        known: dict[str, np.ndarray] = {}

        def predicted(params: Params) -> np.ndarray:
            key = repr(sorted(params.items()))
            if key not in known:
                known[key] = process.predict(encoding.features(encoding.row(params)[None]))[0]
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


def main() -> None:
    """Print how much of the variance of the last epoch each regression explains in trials it has not seen."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import KFold, cross_val_predict

    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    _, rows, targets = arrays(read())
    targets /= targets.std(0)  # or the seconds, which differ most, would be all that trees look at
    last = targets[:, -2]
    print(f"{len(rows)} trials, 10 folds, 3 times: explained variance of the value after the last epoch")
    for name, regression in regressions(rows.shape[1]).items():
        folds = [KFold(10, shuffle=True, random_state=seed) for seed in range(3)]
        found = [np.asarray(cross_val_predict(regression, rows, targets, cv=fold))[:, -2] for fold in folds]
        shares = [1 - ((last - predicted) ** 2).mean() / last.var() for predicted in found]
        print(f"  {name:36s}{np.mean(shares):6.2f}  from {min(shares):.2f} to {max(shares):.2f}")


if __name__ == "__main__":
    main()
