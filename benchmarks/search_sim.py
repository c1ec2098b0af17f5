"""Samplers and schedulers on learning curves, in virtual time: normalised regret after 4, 10, 20 and 25 full trainings.

    uv run python benchmarks/search_sim.py [--quick] [--runs 60] [--families smooth flat] [--jobs 2] [--json FILE]

Runs the classes that a search uses, `FidelitySampler` and the rungs of `asha.py`, and Optuna's RandomSampler and
TPESampler as they come, on 4 workers that train by the curves of `curves.py` and, once `record_curves.py` has written
them, of `recorded.py`. An epoch takes the time that the curve's configuration costs; choosing takes none. A budget of b
is b times what a full training of a random configuration costs, shared by the workers. All methods of a run have the
same problem, the same noise and the same seed, so their differences are paired.

A run that breaks off is taken up again from the regrets that stand in FILE; those of a method that has changed must be
removed there.

Regret: the trial with the best value reported last is looked up on its true curve after the last epoch; 0 is the best
value that the problem has (the best of 4,000 random configurations, improved by a hill climb), 1 the median of random
configurations. Printed are means over runs with their standard errors; the mean over families weighs them equally.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import recorded
from curves import FAMILIES, Instance
from facts import facts
from simulation import BUDGETS, METHODS, WORKERS, regrets, scale

from ferhpo._atomic import write_json

QUICK_FAMILIES = ("crossing", "conditional", "flat")
QUICK_RUNS = 4
Regrets = dict[str, dict[str, np.ndarray]]  # family -> method -> runs x budgets
Runs = dict[str, dict[str, list[float]]]  # "family/run" -> method -> regret by budget


@cache
def of_recordings() -> Callable[[int], Instance]:
    """Return what makes instances of `recorded.py`, whose regression takes a while to fit."""
    return recorded.family(recorded.read())


def one(family: str, run: int, methods: Sequence[str]) -> dict[str, list[float]]:
    """Return these methods' regrets in one run of a family."""
    instance = (FAMILIES[family] if family in FAMILIES else of_recordings())(run)
    against = scale(instance)
    return {name: regrets(instance, METHODS[name], 1000 + run, against) for name in methods}


def simulate(families: list[str], runs: int, jobs: int, known: Runs, keep: Callable[[], None]) -> Regrets:
    """Run in ``jobs`` processes what is not ``known`` yet, add it there, and print each family as it is done."""
    found: Regrets = {}
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by processes that load numpy anew
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        missing = {
            (f, r): [m for m in METHODS if m not in known.get(f"{f}/{r}", {})] for f in families for r in range(runs)
        }
        futures = {key: pool.submit(one, *key, methods) for key, methods in missing.items() if methods}
        for family in families:
            for run in range(runs):
                if (family, run) in futures:
                    known.setdefault(f"{family}/{run}", {}).update(futures[family, run].result())
                    keep()
            results = [known[f"{family}/{run}"] for run in range(runs)]
            found[family] = {name: np.array([result[name] for result in results]) for name in METHODS}
            print(table(family, found[family]), flush=True)
    return found


def table(family: str, by_method: Mapping[str, np.ndarray]) -> str:
    """Return mean and standard error by method and budget as text."""
    lines = [f"{family:12s}" + "".join(f"{f'{b} trainings':>18s}" for b in BUDGETS)]
    for name, runs in by_method.items():
        cells = zip(runs.mean(0), stderr(runs), strict=True)
        lines.append(f"  {name:12s}" + "".join(f"{m:11.3f} +-{s:.3f}" for m, s in cells))
    return "\n".join(lines)


def stderr(runs: np.ndarray) -> np.ndarray:
    """Return the standard error of a mean over runs, by budget; 0 for a single run."""
    return runs.std(0, ddof=1) / np.sqrt(len(runs)) if len(runs) > 1 else np.zeros(runs.shape[1])


def figures(found: Regrets) -> dict[str, Any]:
    """Return what is written: regret and stderr by family, method and budget, their mean, and ours against others."""

    def by_budget(values: np.ndarray) -> dict[str, float]:
        return {str(budget): round(float(value), 4) for budget, value in zip(BUDGETS, values, strict=True)}

    mean = {name: np.mean([by[name].mean(0) for by in found.values()], axis=0) for name in METHODS}
    error = {
        name: np.sqrt(np.sum([stderr(by[name]) ** 2 for by in found.values()], axis=0)) / len(found) for name in METHODS
    }
    difference = {
        name: np.mean([(by["ours"] - by[name]).mean(0) for by in found.values()], axis=0)
        for name in METHODS
        if name != "ours"
    }
    difference_error = {
        name: np.sqrt(np.sum([stderr(by["ours"] - by[name]) ** 2 for by in found.values()], axis=0)) / len(found)
        for name in difference
    }
    return {
        "regret": {f: {m: by_budget(runs.mean(0)) for m, runs in by.items()} for f, by in found.items()}
        | {"mean": {m: by_budget(values) for m, values in mean.items()}},
        "stderr": {f: {m: by_budget(stderr(runs)) for m, runs in by.items()} for f, by in found.items()}
        | {"mean": {m: by_budget(values) for m, values in error.items()}},
        "ours_less": {
            m: {"difference": by_budget(values), "stderr": by_budget(difference_error[m])}
            for m, values in difference.items()
        },
        "vs_random_asha": float(mean["ours"][-1] / mean["random+asha"][-1]),
        "n": {family: len(next(iter(by.values()))) for family, by in found.items()},
    }


def main() -> None:
    """Simulate, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    everything = [*FAMILIES, *(["recorded"] if recorded.FILE.exists() else [])]
    parser.add_argument("--families", nargs="+", choices=everything, default=everything)
    parser.add_argument("--runs", type=int, default=60, help="paired runs of a family")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_RUNS} runs of {', '.join(QUICK_FAMILIES)}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--data", type=Path, help="not read: real curves come from record_curves.py's file")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    before = json.loads(args.json.read_text()) if args.json and args.json.exists() else {"runs": {}, "seconds": 0}
    known: Runs = before["runs"]
    start = time.perf_counter() - before["seconds"]

    def keep(result: Mapping[str, Any] = MappingProxyType({})) -> None:
        if args.json:
            seconds = round(time.perf_counter() - start)
            write_json(args.json, {**result, "runs": known, "workers": WORKERS, "seconds": seconds, **facts()})

    families: list[str] = [*QUICK_FAMILIES] if args.quick else args.families
    found = simulate(families, QUICK_RUNS if args.quick else args.runs, args.jobs, known, keep)
    result = figures(found)
    print("mean over families")
    for name, values in result["regret"]["mean"].items():
        errors = result["stderr"]["mean"][name]
        print(f"  {name:12s}" + "".join(f"{v:11.3f} +-{errors[b]:.3f}" for b, v in values.items()))
    print(f"ours over random+asha after {BUDGETS[-1]} full trainings: {result['vs_random_asha']:.2f}")
    keep(result)


if __name__ == "__main__":
    main()
