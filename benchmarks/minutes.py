"""Test accuracy after 1, 5 and 15 minutes of one training with the recipe of `ferhpo train --minutes M`, by seed.

    uv run python benchmarks/minutes.py --data fer2013.csv [--minutes 1 5 15] [--seeds 0 1 2] [--json FILE]

Each training is the command itself, in a process of its own: M minutes from the first step to the last validation. A
run that breaks off is taken up again from the figures that stand in FILE. Without --data nothing is measured.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from facts import facts, spread

from ferhpo._atomic import write_json

KEPT = ("epochs", "seconds", "parameters", "precision", "threads", "images_per_second", "config")


def train(data: Path, minutes: float, seed: int, root: Path) -> dict[str, Any]:
    """Train once and return test accuracy, validation accuracy and what tells the recipe."""
    command = [sys.executable, "-m", "ferhpo", "train", "--study", "fer2013", "--data", str(data), "--root", str(root)]
    command += ["--minutes", f"{minutes:g}", "--set", f"seed={seed}", "--test", "--format", "json"]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    kept = {name: found[name] for name in KEPT if name in found}
    return {"test_accuracy": found["test"]["accuracy"], "val_accuracy": found["val"]["accuracy"], **kept}


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="fer2013.csv")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 5, 15])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.data is None:
        print("figures of real images need --data fer2013.csv")
        if args.json:
            write_json(args.json, {"test_accuracy": None, **facts()})
        return
    runs: dict[str, Any] = json.loads(args.json.read_text())["runs"] if args.json and args.json.exists() else {}
    with tempfile.TemporaryDirectory() as root:
        for seed in args.seeds:
            for minutes in args.minutes:
                key = f"{minutes:g}/{seed}"
                if key not in runs:
                    runs[key] = train(args.data, minutes, seed, Path(root))
                print(f"{minutes:g} min, seed {seed}: test {runs[key]['test_accuracy']:.4f}", flush=True)
                if args.json:
                    write_json(args.json, {"test_accuracy": by_minutes(runs), "runs": runs, **facts()})
    for minutes, seeds in by_minutes(runs).items():
        said = spread(list(seeds.values()))
        print(f"{minutes} min: {said['median']:.4f} ({said['low']:.4f} to {said['high']:.4f}, n = {said['n']})")


def by_minutes(runs: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return test accuracy by minutes, then seed."""
    table: dict[str, dict[str, float]] = {}
    for key, run in runs.items():
        minutes, seed = key.split("/")
        table.setdefault(minutes, {})[seed] = run["test_accuracy"]
    return table


if __name__ == "__main__":
    main()
