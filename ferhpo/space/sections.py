"""The sections of a study file but for its space: images, budget, sampler, scheduler."""

import re
from dataclasses import dataclass
from typing import Any

from ferhpo.errors import UsageError, did_you_mean

FORMATS = (
    "auto",
    "fer2013",
    "ferplus",
    "folders",
    "rafdb",
    "affectnet",
    "ckplus",
    "expw",
    "table",
    "huggingface",
    "prepared",
    "synthetic",
)
LABELS = ("majority", "soft")
SAMPLERS = ("fidelity", "tpe", "gp", "cmaes", "random", "qmc", "grid", "nsga2")
SCHEDULERS = ("asha", "asha-promote", "hyperband", "median", "pbt", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSpec:
    """Which images, and how they are kept.

    Args:
        format: how the data lie on disk; auto looks.
        path: file or folder, relative to the study file; `--data` overrides it, synthetic has none.
        size: pixels a side of the prepared images (other images are resized to it).
        channels: 1 (grey) or 3 (RGB).
        frames: of a sample: 1 is a still; more are a sequence, kept one frame after the other in the channels.
        rows: number of images that the synthetic set renders.
        classes: names of the classes kept (aliases count), all others are left out; empty keeps all.
        labels: what people who disagreed become: majority is one class, soft is their shares (ferplus).
        also: more sets, whose training rows are added over the common classes; paths as ``path``.
        images: where the images of annotations lie if not beside them (ferplus: the csv; table: the folder).
        image_column, label_column, split_column, group_column: columns of a table or a Hugging Face data set;
            auto looks for the usual names.
        drop_blank: leave out training images of one single colour.
        drop_leaks: leave out training images that are nearly the same as one that validates or tests, and validation
            images as one that tests (identical ones always are).
        val: share of the training rows that validates where the data bring no validation split.
        test: share that is sealed where the data bring no test split.
    """

    format: str = "auto"
    path: str | None = None
    size: int = 48
    channels: int = 1
    frames: int = 1
    rows: int = 4000
    classes: tuple[str, ...] = ()
    labels: str = "majority"
    also: tuple[str, ...] = ()
    images: str | None = None
    image_column: str = "auto"
    label_column: str = "auto"
    split_column: str = "auto"
    group_column: str = "auto"
    drop_blank: bool = False
    drop_leaks: bool = False
    val: float = 0.12
    test: float = 0.12

    def __post_init__(self) -> None:
        _one_of("format", self.format, FORMATS)
        _one_of("labels", self.labels, LABELS)
        _number("size", self.size, 8, 1024)
        _one_of("channels", self.channels, (1, 3))
        _number("frames", self.frames, 1, 64)
        _number("rows", self.rows, 100, 10_000_000)
        _number("val", self.val, 0.01, 0.5)
        _number("test", self.test, 0.01, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSpec:
    """What a study may cost.

    Args:
        epochs: epochs of a trial that is never stopped.
        trials: the study's total, the default of `--trials`.
        timeout: wall time of one run, like "30m" or "2h", the default of `--timeout`; none if left out.
        max_failures: failed trials in a row after which the search gives up.
        trial_time: wall time of a trial, from its first step to its last validation, in place of ``epochs``: each has
            as many as fit, and the learning rate runs over the time. Needs the scheduler none and another sampler than
            fidelity, since these compare epochs.
    """

    epochs: int = 8
    trials: int = 30
    timeout: str | None = None
    max_failures: int = 5
    trial_time: str | None = None

    @property
    def trial_seconds(self) -> float | None:
        """``trial_time`` in seconds."""
        return None if self.trial_time is None else seconds(self.trial_time)

    def __post_init__(self) -> None:
        _number("epochs", self.epochs, 1, 100_000)
        _number("trials", self.trials, 1, 1_000_000)
        _number("max_failures", self.max_failures, 1, 1_000_000)
        for time in (self.timeout, self.trial_time):
            if time is not None:
                seconds(time)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerSpec:
    """What to try next.

    Args:
        name: fidelity (a model over configuration and epoch, `search/sampler.py`), grid, or Optuna's tpe, gp, cmaes,
            random, qmc, nsga2.
        startup: trials before the sampler's model is used: with a value (fidelity, tpe), COMPLETE (gp, cmaes).
        points: values that grid takes of a range without a step.
    """

    name: str = "fidelity"
    startup: int = 10
    points: int = 5

    def __post_init__(self) -> None:
        _one_of("name", self.name, SAMPLERS)
        _number("startup", self.startup, 0, 100_000)
        _number("points", self.points, 2, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSpec:
    """When to stop a trial.

    Args:
        name: asha (stops trials at rungs), asha-promote (pauses them there and goes on with the best), hyperband
            (brackets of asha, one of which stops nobody), median (stops what is worse than the others' median), pbt
            (the worst give way to copies of the best, with other settings), none.
        grace: epochs that every trial gets: the first rung; of pbt, the epochs between two judgements.
        reduction: one trial in so many goes on at a rung, and the rungs' distance as a factor (not for median); of pbt,
            one in so many gives way.
        population: trials of pbt that take turns, more if more run at a time.
    """

    name: str = "asha"
    grace: int = 1
    reduction: int = 3
    population: int = 8

    def __post_init__(self) -> None:
        _one_of("name", self.name, SCHEDULERS)
        _number("grace", self.grace, 1, 100_000)
        _number("reduction", self.reduction, 2, 100)
        _number("population", self.population, 2, 1000)


def seconds(text: str) -> float:
    """Read a duration like ``90``, ``90s``, ``30m``, ``1.5h`` as seconds.

    Raises:
        UsageError: it is none, or not above 0.

    >>> seconds("1.5h")
    5400.0
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", text)
    value = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]] if match else 0.0
    if value <= 0:
        msg = f"a duration is a number above 0 with s, m, h or d after it, like 90s or 1.5h, got '{text}'"
        raise UsageError(msg)
    return value


def _one_of(name: str, value: object, known: tuple[Any, ...]) -> None:
    if value not in known:
        msg = f"{name} must be a known one, got {value!r}{did_you_mean(str(value), map(str, known))}"
        raise UsageError(msg)


def _number(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        msg = f"{name} must be from {low:g} to {high:g}, got {value!r}"
        raise UsageError(msg)
