"""Seconds to fit and cross-fit every method; greedy selection beside AutoGluon's; images a second of torch and ONNX.

    uv run --group dev python benchmarks/ensemble.py [--members 50] [--rows 3589] [--times 3] [--json FILE] [--data CSV]

Members are made up, seeded: the logits of row n are ``t_m (2.2 onehot(y_n) + a_n + 0.6 b_n + s_m c_mn)``. a, b and c
are standard normal, one number a class: a is shared by all members, b by those of one of four families, c is a member's
own, so their errors are correlated. s_m in 0.6 to 1.4 is how noisy a member is, t_m in 0.7 to 1.6 how sure. Labels are
drawn with the shares of FER-2013's classes, with --data with those of the file's validation rows.

AutoGluon runs as it comes, 25 rounds on accuracy, in an environment of its own (uv downloads it the first time) on the
same array; fresh rows of the same formula say what either choice is worth. --no-autogluon and --no-nets leave a part
out, its figures are then null.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ferhpo import metrics, scoring
from ferhpo._atomic import write_json
from ferhpo.ensemble.evaluate import METHODS, choose
from ferhpo.ensemble.folds import cross_fit, deal
from ferhpo.ensemble.select import ROUNDS, greedy

FER2013 = (0.139, 0.015, 0.143, 0.251, 0.168, 0.110, 0.174)
OTHER = Path(__file__).with_name("autogluon_greedy.py")
AUTOGLUON = "autogluon.core==1.6.3"


def made_up(members: int, rows: int, shares: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return ``probs_mnc`` and ``y_n`` by the formula at the top of this page."""
    rng = np.random.default_rng(seed)
    classes = len(shares)
    y_n = rng.choice(classes, rows, p=shares / shares.sum())
    seen_nc = 2.2 * np.eye(classes)[y_n] + rng.normal(size=(rows, classes))
    family_fnc = 0.6 * rng.normal(size=(4, rows, classes))
    noise_m, sharpness_m = rng.uniform(0.6, 1.4, members), rng.uniform(0.7, 1.6, members)
    own_mnc = noise_m[:, None, None] * rng.normal(size=(members, rows, classes))
    logits = sharpness_m[:, None, None] * (seen_nc + family_fnc[np.arange(members) % 4] + own_mnc)
    odds = np.exp(logits - logits.max(2, keepdims=True))
    return odds / odds.sum(2, keepdims=True), y_n


def all_methods(probs_mnc: np.ndarray, y_n: np.ndarray) -> tuple[float, dict[str, Any]]:
    """Return the seconds to fit, cross-fit and score all methods and to choose one, and what each scored."""
    groups_n = np.arange(len(y_n))
    begun = time.perf_counter()
    fold_n = deal(y_n, groups_n)
    held, told = {}, {}
    for name, fit in METHODS.items():
        start = time.perf_counter()
        fit(probs_mnc, y_n, groups_n)
        held[name] = cross_fit(fit, probs_mnc, y_n, groups_n, fold_n)
        told[name] = scoring.scored(held[name], y_n, groups_n) | {"seconds": time.perf_counter() - start}
    chosen = choose(held, y_n, groups_n, "accuracy")
    return time.perf_counter() - begun, {"chosen": chosen, "methods": told}


def beside_autogluon(probs_mnc: np.ndarray, y_n: np.ndarray, fresh: tuple[np.ndarray, np.ndarray], times: int) -> Any:
    """Return seconds and accuracy of both greedy selections, on the rows they climbed and on fresh ones."""
    with tempfile.TemporaryDirectory() as scratch:
        array, result = Path(scratch) / "array.npz", Path(scratch) / "result.json"
        np.savez(array, probs=probs_mnc, y=y_n)
        python = ["uv", "run", "--isolated", "--no-project", "--python", sys.executable, "--with", AUTOGLUON, "python"]
        subprocess.run([*python, str(OTHER), str(array), str(result), str(times)], check=True, cwd=scratch)
        theirs = json.loads(result.read_text(encoding="utf-8"))
    ours: dict[str, list[Any]] = {"seconds": [], "weights": []}
    for _ in range(times):
        start = time.perf_counter()
        weights_m = greedy(probs_mnc, y_n, ROUNDS)
        ours["seconds"].append(time.perf_counter() - start)
        ours["weights"].append(weights_m.tolist())
    for side in (ours, theirs):
        for name, (probs, y) in {"accuracy": (probs_mnc, y_n), "fresh_accuracy": fresh}.items():
            side[name] = [metrics.accuracy(np.tensordot(np.array(w), probs, 1), y) for w in side["weights"]]
        side["members"] = [int(np.count_nonzero(w)) for w in side.pop("weights")]
    return ours, theirs


def shares_of(data: Path | None) -> np.ndarray:
    """Return the share of each class in the validation rows of a file, FER-2013's without one."""
    if data is None:
        return np.array(FER2013)
    from ferhpo.data.cache import prepare
    from ferhpo.space.sections import DataSpec

    with tempfile.TemporaryDirectory() as scratch:
        labels_n = prepare(DataSpec(), data, Path(scratch)).part("val").labels
    return np.bincount(labels_n) / len(labels_n)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("members", 50), ("rows", 3589), ("times", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-autogluon", action="store_true")
    parser.add_argument("--no-nets", action="store_true")
    asked = parser.parse_args()
    probs_mnc, y_n = made_up(asked.members, 2 * asked.rows, shares_of(asked.data))
    fresh = probs_mnc[:, asked.rows :], y_n[asked.rows :]
    probs_mnc, y_n = np.ascontiguousarray(probs_mnc[:, : asked.rows]), y_n[: asked.rows]
    runs = [all_methods(probs_mnc, y_n) for _ in range(asked.times)]
    assert "torch" not in sys.modules
    found: dict[str, Any] = {"greedy_speedup_vs_autogluon": None, "greedy_score_minus_autogluon": None}
    found |= {"onnx_images_per_s": None, "torch_images_per_s": None}
    if not asked.no_autogluon:
        ours, theirs = beside_autogluon(probs_mnc, y_n, fresh, asked.times)
        found["greedy_speedup_vs_autogluon"] = float(np.median(theirs["seconds"]) / np.median(ours["seconds"]))
        found["greedy_score_minus_autogluon"] = float(np.median(ours["accuracy"]) - np.median(theirs["accuracy"]))
        found["greedy"] = {"ferhpo": ours, "autogluon": theirs}
    if not asked.no_nets:
        from onnx_speed import measure

        found |= measure()
    from facts import facts, spread

    seconds = spread([run[0] for run in runs])
    found = {"seconds_all_methods": seconds["median"], **found, "seconds": seconds, **runs[0][1]}
    found |= {"members": asked.members, "rows": asked.rows, "classes": probs_mnc.shape[2], **facts()}
    print(json.dumps(found, indent=2))
    if asked.json:
        write_json(asked.json, found)


if __name__ == "__main__":
    main()
