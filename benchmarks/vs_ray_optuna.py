"""The same space, rows and minutes: `ferhpo search` beside a plain Ray Tune + OptunaSearch + ASHA script.

    uv run python benchmarks/vs_ray_optuna.py --data fer2013.csv [--minutes 30] [--runs 2] [--json FILE]
    uv run python benchmarks/vs_ray_optuna.py --data fer2013.csv --sides ferhpo inside

The sides, each in a process of its own, one after the other: ``ferhpo`` is the command with studies/fer2013.toml;
``plain`` is `plain_search.py`; ``inside`` is the plain search around ferhpo's own training, which also begins with the
study's default configuration, as ferhpo does. Time runs from the start of the process, so that imports and Ray's start
count; an epoch that ends later counts for no side, and every validation figure of every trial counts for each. A run of
as many minutes that stands in FILE, which must be of this machine and these images, is not run again; each keeps its
own date and versions. Without --data rendered faces serve; --quick is a minute a side.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import plain_search
import usual
from facts import STUDY, facts, known

from ferhpo._atomic import write_json
from ferhpo.data.cache import Prepared, open_prepared, prepare
from ferhpo.search.budget import limits_of
from ferhpo.search.events import EpochEnded, Event, TrialEnded
from ferhpo.search.machine.workers import Workers
from ferhpo.search.runner import search
from ferhpo.space.sections import DataSpec
from ferhpo.space.spec import StudySpec, read_spec

TRIALS = 100_000  # more than there is time for
ROWS = 1000  # of --quick
Row = dict[str, Any]
Note = Callable[[Row], None]


def ferhpo(spec: StudySpec, images: Path, seconds: float, note: Note) -> None:
    """Search as `ferhpo search --timeout` does."""

    def emit(event: Event) -> None:
        if isinstance(event, EpochEnded):
            note({"trial": event.number, "value": event.value})
        elif isinstance(event, TrialEnded) and event.state in {"COMPLETE", "PRUNED"}:
            note({"trial": event.number})

    limits = limits_of(spec, trials=TRIALS, timeout=str(max(seconds, 1)))
    with tempfile.TemporaryDirectory() as root:
        workers = Workers(gpus=0)  # as the other sides, which train on CPUs
        search(spec, open_prepared(images), Path(root), emit=emit, limits=limits, workers=workers)


def plain(spec: StudySpec, images: Path, seconds: float, note: Note) -> None:
    """Search with the plain script."""
    train = partial(plain_search.train, folder=folders(images))
    plain_search.search(train, seconds, note, seed=spec.seed)


def inside(spec: StudySpec, images: Path, seconds: float, note: Note) -> None:
    """Search with the plain script around ferhpo's training."""
    train = partial(our_training, spec=spec, images=images)
    plain_search.search(train, seconds, note, seed=spec.seed, first=[spec.space.defaults()])


def our_training(config: Row, spec: StudySpec, images: Path) -> None:
    """Train one configuration with ferhpo's loop and report to Ray Tune."""
    from ray import tune

    from ferhpo.metrics import metric
    from ferhpo.training.loop import train

    chosen = spec.space.default_config().with_params({**config, "epochs": spec.budget.epochs, "seed": spec.seed})
    for result in train(chosen, open_prepared(images), metric=metric(spec.metric)):
        tune.report({"accuracy": result.figures["accuracy"]})


SIDES = {"ferhpo": ferhpo, "plain": plain, "inside": inside}


def folders(images: Path) -> Path:
    """Return where the class folders of prepared images are."""
    return images.parent / "folders"


def write_images(args: argparse.Namespace, folder: Path) -> Path:
    """Prepare the images, write them as class folders too, and return the prepared ones' folder."""
    made_up = DataSpec(format="synthetic", rows=ROWS if args.quick else DataSpec().rows)
    data = prepare(read_spec(STUDY).data if args.data else made_up, args.data, folder)
    write_folders(data, folders(data.folder))
    return data.folder.resolve()


def write_folders(data: Prepared, to: Path) -> None:
    """Write training and validation rows as class folders: the very rows that ferhpo's side sees."""
    for part in ("train", "val"):
        usual.write_folders(data.part(part), data.classes, to / part)


def ran(side: str, run: int, images: Path, seconds: float) -> Row:
    """Run a side in a process of its own and return what it had reached when time was up."""
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "log"
        log.touch()
        until = time.time() + seconds
        command = [sys.executable, __file__, "--side", side, "--seed", str(run), "--until", str(until)]
        subprocess.run([*command, "--images", str(images), "--log", str(log)], check=True)
        rows = [json.loads(line) for line in log.read_text().splitlines()]
    return figures(rows, until) | {"seconds": seconds}


def figures(rows: Sequence[Row], until: float) -> Row:
    """Return best value, trials that ended, and epochs, of what was noted in time."""
    in_time = [row for row in rows if row["at"] <= until]
    values = [row["value"] for row in in_time if "value" in row]
    return {"best_val": max(values, default=0.0), "trials": len(in_time) - len(values), "epochs": len(values)}


def alone(args: argparse.Namespace) -> None:
    """Run one side in this process, each of its notes a line of the log."""
    spec = replace(read_spec(STUDY), seed=args.seed)
    SIDES[args.side](spec, args.images, args.until - time.time(), partial(append, args.log))


def append(log: Path, row: Row) -> None:
    """Add a row and its time to the log; Ray Tune pickles what it is given, so no open file."""
    with log.open("a") as file:
        file.write(json.dumps({"at": time.time(), **row}) + "\n")


def earlier(parser: argparse.ArgumentParser, args: argparse.Namespace, data: str) -> dict[str, Row]:
    """Return the runs of FILE that need not be run again; end where they are of another machine or of other images."""
    try:
        runs = known(args.json, facts(), data) if args.json and args.json.exists() else {}
    except ValueError as error:
        parser.error(str(error))
    return {key: run for key, run in runs.items() if run["seconds"] == 60 * args.minutes}


def table(runs: dict[str, Row]) -> Row:
    """Return the mean figures of every side, its runs, and what ferhpo's are beside the others'."""
    by_side: dict[str, list[Row]] = {}
    for key, run in runs.items():
        by_side.setdefault(key.split("/")[0], []).append(run)
    names = ("best_val", "trials", "epochs", "seconds")
    found: Row = {s: {n: mean(run[n] for run in of) for n in names} | {"n": len(of)} for s, of in by_side.items()}
    for side in {"plain", "inside"} & found.keys() if "ferhpo" in found else ():
        ours, theirs = found["ferhpo"], found[side]
        theirs["ferhpo_better_by"] = ours["best_val"] - theirs["best_val"]
        theirs["ferhpo_epochs_ratio"] = ours["epochs"] / theirs["epochs"] if theirs["epochs"] else None
    return {**found, "runs": runs}


def main() -> None:
    """Run what is missing and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="fer2013.csv, or class folders; rendered faces without it")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--runs", type=int, default=2, help="of each side; run i has seed i")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=["ferhpo", "plain"])
    parser.add_argument("--quick", action="store_true", help="one run of a minute each on a few rendered faces")
    parser.add_argument("--json", type=Path)
    for name, kind in (("side", str), ("seed", int), ("until", float), ("images", Path), ("log", Path)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        alone(args)
        return
    if args.quick:
        args.data, args.minutes, args.runs = None, 1, 1
    with tempfile.TemporaryDirectory() as folder:
        images = write_images(args, Path(folder))
        data = open_prepared(images).fingerprint
        runs = earlier(parser, args, data)
        for run in range(args.runs):
            for side in args.sides:
                key = f"{side}/{run}"
                if key not in runs:
                    runs[key] = ran(side, run, images, 60 * args.minutes) | facts()
                found = runs[key]
                print(
                    f"{side}, run {run}, {found['seconds']:.0f} s: best validation accuracy {found['best_val']:.4f}, "
                    f"{found['trials']} trials ended, {found['epochs']} epochs",
                    flush=True,
                )
                if args.json:
                    write_json(args.json, table(runs) | {"data": data} | facts())
    for side, found in table(runs).items():
        if "ferhpo_better_by" in found:
            better, ratio = found["ferhpo_better_by"], found["ferhpo_epochs_ratio"]
            print(f"ferhpo over {side}: {better:+.4f}" + (f", {ratio:.1f}x the epochs" if ratio else ""))


if __name__ == "__main__":
    main()
