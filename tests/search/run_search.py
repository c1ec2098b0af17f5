"""A search with the fake trainer in a process of its own, to be killed: ROOT TRIALS EPOCHS PAUSE [--storage URL]."""

import os
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"  # read when Ray is imported, here before ferhpo sets it

import fakes
from ray import cloudpickle

from ferhpo.search.budget import Limits
from ferhpo.search.machine.workers import Workers
from ferhpo.search.runner import search

cloudpickle.register_pickle_by_value(fakes)


def main() -> None:
    root, trials, epochs, pause, *storage = sys.argv[1:]
    outcome = search(
        fakes.spec(epochs=int(epochs)),
        fakes.FakeData(folder=Path(root) / ".data"),  # pyright: ignore[reportArgumentType]
        Path(root),
        emit=lambda event: print(event, flush=True),
        limits=Limits(trials=int(trials)),
        storage=storage[0] if storage else None,
        workers=Workers(cpus=1),
        trainer=partial(fakes.trainer, pause=float(pause)),
    )
    sys.exit(130 if outcome.interrupted else 0)


if __name__ == "__main__":
    main()
