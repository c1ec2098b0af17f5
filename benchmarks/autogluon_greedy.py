"""AutoGluon's greedy ensemble selection on an array, timed; run by `ensemble.py` in an environment of its own.

uv run --isolated --no-project --with autogluon.core python benchmarks/autogluon_greedy.py ARRAY.npz RESULT.json TIMES
"""

import json
import sys
import time
from importlib import import_module
from importlib.metadata import version

import numpy as np

ROUNDS = 25


def main(array: str, result: str, times: int) -> None:
    """Read probs (members x rows x classes) and y, write weights and the seconds of each run."""
    selection = import_module("autogluon.core.models.greedy_ensemble.ensemble_selection").EnsembleSelection
    accuracy = import_module("autogluon.core.metrics").accuracy
    with np.load(array) as stored:
        probs_mnc, y_n = stored["probs"], stored["y"]
    seconds, weights = [], []
    for seed in range(times):
        chooser = selection(
            ensemble_size=ROUNDS, problem_type="multiclass", metric=accuracy, random_state=np.random.RandomState(seed)
        )
        start = time.perf_counter()
        chooser.fit(predictions=list(probs_mnc), labels=y_n)
        seconds.append(time.perf_counter() - start)
        weights.append(np.asarray(chooser.weights_, float).tolist())
    versions = {name: version(name) for name in ("autogluon.core", "numpy", "scikit-learn")}
    with open(result, "w", encoding="utf-8") as handle:  # noqa: PTH123 - the standard library alone
        json.dump({"seconds": seconds, "weights": weights, "versions": versions}, handle)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
