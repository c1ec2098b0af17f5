"""A user's own function in place of training a net: wrapped into what the search runs.

Its trials leave no net, so such a study can be read and reported but gives no ensemble.
"""

import inspect
import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ferhpo import _layout
from ferhpo._atomic import write_json
from ferhpo.data.cache import ARRAYS, Prepared
from ferhpo.errors import CheckpointError, TrainingError
from ferhpo.search.job import Job, Trainer
from ferhpo.space.config import TrialConfig
from ferhpo.study.source import OBJECTIVE
from ferhpo.training.result import EpochResult

Value = float | Mapping[str, float]
Objective = Callable[[TrialConfig, int], Value] | Callable[[TrialConfig], Iterator[Value]]


def trainer(objective: Objective) -> Trainer:
    """Return a trainer that runs an objective.

    Args:
        objective: a function of config and epoch (from 1) that returns the value after that epoch, or a generator
            function of the config that yields one value an epoch. A trial that goes on after an interruption calls the
            function from the next epoch on; a generator begins anew, and what it yields again is passed over. A value
            is the study's metric, or several quantities by name, where the study has several objectives or constraints.
    """
    return partial(_run, objective)


def no_images(folder: Path) -> Prepared:
    """Return the data of a search that has none."""
    shapes = {"images": (0, 8, 8, 1)}
    arrays: dict[str, Any] = {k: np.empty(shapes.get(k, (0,)), kind) for k, kind in ARRAYS.items() if k != "soft"}
    return Prepared(
        folder=folder,
        format=OBJECTIVE,
        source=None,
        classes=(),
        fingerprint="objective",
        mean=(),
        std=(),
        counts={},
        dropped={},
        **arrays,
    )


def _run(objective: Objective, config: TrialConfig, job: Job, resume: Path | None) -> Iterator[EpochResult]:
    behind = 0 if resume is None else _epoch(resume)
    values = _values(objective, config, behind)
    for epoch in range(behind + 1, config.epochs + 1):
        start = time.perf_counter()
        try:
            given = next(values)
        except StopIteration:
            msg = f"an objective must yield a value for each of its {config.epochs} epochs, it ended after {epoch - 1}"
            raise TrainingError(msg) from None
        yield EpochResult(
            epoch=epoch,
            figures=_figures(given, job),
            seconds=time.perf_counter() - start,
            done=epoch == config.epochs,
            save=partial(_save, epoch, config.epochs),
        )


def _save(epoch: int, last: int, folder: Path) -> None:
    """Write how far a trial is, unless it is over."""
    if epoch < last:
        write_json(folder / _layout.STATE, {"epoch": epoch})


def _values(objective: Callable[..., Any], config: TrialConfig, behind: int) -> Iterator[Any]:
    if inspect.isgeneratorfunction(objective):
        values = objective(config)
        for _ in range(behind):
            next(values, None)
        return values
    return (objective(config, epoch) for epoch in range(behind + 1, config.epochs + 1))


def _figures(given: object, job: Job) -> dict[str, float]:
    """Return what an objective gave by name; everything that the study must know has to be there."""
    found = dict(given) if isinstance(given, Mapping) else {job.metric: given}
    missing = sorted((job.wanted | {job.metric}) - found.keys())
    if missing:
        msg = (
            f"the objective must also return '{missing[0]}'; return a mapping with "
            f"{', '.join(sorted(job.wanted | {job.metric}))}"
        )
        raise TrainingError(msg)
    return {str(name): _number(value) for name, value in found.items()}


def _number(given: object) -> float:
    try:
        return float(given)  # pyright: ignore[reportArgumentType] - that is what is asked
    except (TypeError, ValueError):
        msg = f"an objective must give a number an epoch, got {type(given).__name__}; return the metric's value"
        raise TrainingError(msg) from None


def _epoch(resume: Path) -> int:
    try:
        return int(json.loads((resume / _layout.STATE).read_bytes())["epoch"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{resume} must say how far its trial was, got {error!r}; the trial begins anew"
        raise CheckpointError(msg) from None
