"""Test accuracy after 1, 5 and 15 minutes of one training with the recipe of `ferhpo train --minutes M`, by seed.

    uv run python benchmarks/minutes.py --data fer2013.csv [--minutes 1 5 15] [--seeds 0 1 2] [--json FILE]

Each training is the command itself, in a process of its own: M minutes from the first step to the last validation. A
run that breaks off is taken up again from the figures that stand in FILE, if they are of this machine and of data
of this name; each keeps its own date and versions. Without --data nothing is measured.

Test rows are those that the csv calls PrivateTest (3,589 of fer2013.csv), and PublicTest rows validate: neither is
trained on, nor is an image that stands there too. A csv without PrivateTest rows is tested on what else it has beside
its training rows, else on a share of them (`ferhpo.data.splits`): such figures are not those of FER2013's test.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from facts import facts, known, spread

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
    runs: dict[str, Any] = {}
    if args.json and args.json.exists():
        try:
            runs = known(args.json, facts(), args.data.name)
        except ValueError as error:
            parser.error(str(error))
    with tempfile.TemporaryDirectory() as root:
        for seed in args.seeds:
            for minutes in args.minutes:
                key = f"{minutes:g}/{seed}"
                if key not in runs:
                    runs[key] = train(args.data, minutes, seed, Path(root)) | facts()
                print(f"{minutes:g} min, seed {seed}: test {runs[key]['test_accuracy']:.4f}", flush=True)
                if args.json:
                    table = {"test_accuracy": by_minutes(runs), "test_accuracy_spread": spreads(runs)}
                    write_json(args.json, {**table, "runs": runs, "data": args.data.name, **facts()})
    for minutes, said in spreads(runs).items():
        print(f"{minutes} min: {said['median']:.4f} ({said['low']:.4f} to {said['high']:.4f}, n = {said['n']})")


def spreads(runs: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return median, lowest, highest and n over the seeds, by minutes."""
    return {minutes: spread(list(seeds.values())) for minutes, seeds in by_minutes(runs).items()}


def by_minutes(runs: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return test accuracy by minutes, then seed."""
    table: dict[str, dict[str, float]] = {}
    for key, run in runs.items():
        minutes, seed = key.split("/")
        table.setdefault(minutes, {})[seed] = run["test_accuracy"]
    return table


if __name__ == "__main__":
    main()
