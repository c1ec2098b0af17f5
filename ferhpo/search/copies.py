"""A trial that takes another one's training over: its settings, and its files."""

import json
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ferhpo import _layout
from ferhpo._atomic import new_folder, write_json
from ferhpo.search.recovery import read_record
from ferhpo.search.surrogate.encoding import Encoding
from ferhpo.space.config import SETTINGS, TrialConfig
from ferhpo.space.dimension import Dimension
from ferhpo.space.space import Space, applies
from ferhpo.study.writer import StudyWriter

MOVE = 0.05  # of a range's length, in its logarithm where it has one: a factor of 1.6 for a rate over four decades
ANEW = 0.25  # how often a choice is drawn anew
Complete = Callable[[TrialConfig, int], TrialConfig]


def changed(space: Space, config: TrialConfig, rng: np.random.Generator) -> dict[str, Any]:
    """Return other values of the settings that a training may change: each range moved up or down, some choices anew.

    Args:
        space: the study file's.
        config: of the trial that is copied.
        rng: draws.
    """
    settings, found = config.params(), {}
    for d in space.dimensions:
        if not SETTINGS[d.name].live or not applies(d, settings):
            continue
        if d.choices:
            if rng.random() < ANEW:
                found[d.name] = d.choices[rng.integers(len(d.choices))]
        else:
            encoding = Encoding({d.name: d.distribution()})
            value = d.default if settings[d.name] is None else settings[d.name]  # off, when it was not searched yet
            cell = encoding.row({d.name: value}) + rng.choice([-1, 1]) * _move(d)
            found |= encoding.params(np.clip(cell, 0, 1))
    return found


def _move(dimension: Dimension) -> float:
    """Return how far a range is moved, as a share of its length in an `Encoding`: at least to the next of its steps."""
    low, high, step = dimension.low, dimension.high, dimension.step
    return MOVE if low is None or high is None or step is None else max(MOVE, step / (high - low + step))


def copied(writer: StudyWriter, source: int, epoch: int, complete: Complete, rng: np.random.Generator) -> int | None:
    """Make a waiting trial that goes on from another one's epoch with changed settings.

    Args:
        writer: the study.
        source: number of the trial that is copied; it waits, and stays as it is.
        epoch: epochs behind it.
        complete: puts into a configuration what the study gives, by trial number, see `StudyWriter.ask`.
        rng: draws the settings.

    Returns:
        The new trial's number, or that of one that a killed search had made already; None if the files of the other
        one are gone.
    """
    folder = _layout.epoch_folder(_layout.trial_folder(writer.folder, source), epoch)
    record = read_record(folder)
    if record is None:
        return None
    params = changed(writer.spec.space, writer.config(source), rng)
    made = _made_already(writer, source, epoch, params)
    if made is not None:
        return made
    shutil.rmtree(_layout.trial_folder(writer.folder, writer.following()), ignore_errors=True)  # left by another study
    number, config = writer.copy(source, epoch, params, complete)
    target = _layout.epoch_folder(_layout.trial_folder(writer.folder, number), epoch)
    with new_folder(target) as part:
        shutil.copytree(folder, part, dirs_exist_ok=True)
        state = json.loads((part / _layout.STATE).read_bytes())
        write_json(part / _layout.STATE, {**state, "config": config.params()})  # a training goes on as its state says
        record["attrs"] |= {"checkpoint": str(target.relative_to(writer.folder)), "seed": config.seed}
        write_json(part / _layout.RECORD, record)
    return number


def _made_already(writer: StudyWriter, source: int, epoch: int, params: Mapping[str, Any]) -> int | None:
    """Return a copy that waits where this one would begin: a search was killed before another trial gave way to it."""
    found = {t.number: t for t in writer.reader.trials()}
    like = {**found[source].params, **params}
    same = (found[n] for n, behind in writer.waiting().items() if behind == epoch)
    return next((t.number for t in same if (t.copied_from, t.inherited, t.params) == (source, epoch, like)), None)
