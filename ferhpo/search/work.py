"""One trial's work, epoch by epoch: train, leave the epoch's files, return its record (an actor without Ray)."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from errno import EDQUOT, EIO, ENOSPC, EROFS, ESTALE
from math import isfinite, isnan
from pathlib import Path
from typing import Any

from ferhpo import _layout
from ferhpo._atomic import clear_unfinished, new_folder, write_json
from ferhpo.errors import CheckpointError, FerhpoError, TrainingError, one_line
from ferhpo.search import costs
from ferhpo.search.job import Job, Trainer
from ferhpo.space.config import TrialConfig
from ferhpo.training.result import EpochResult

DISK = (ENOSPC, EDQUOT, EIO, ESTALE, EROFS)  # errors of which a trial bears no blame: it goes on once there is a disk


class TrialWork:
    """A trial under way in a worker; it writes files, never the database.

    Args:
        number: the trial's.
        config: what to train.
        epoch: epochs behind it; 0 begins anew.
        job: what is the same for all trials.
        trainer: trains a configuration.
    """

    def __init__(self, number: int, config: TrialConfig, epoch: int, job: Job, trainer: Trainer) -> None:
        self._config, self._job, self._trainer = config, job, trainer
        self._folder = _layout.trial_folder(job.study, number)
        self._resume = _layout.epoch_folder(self._folder, epoch) if epoch else None
        self._epochs: Iterator[EpochResult] | None = None
        self._costs: dict[str, float] | None = None
        self._came_on = False  # an epoch is finished in this process

    def next(self) -> dict[str, Any]:
        """Train one epoch and leave its files; an error is a record too, so that the actor outlives a failed trial.

        One that need not happen in another process is raised: the actor ends and the trial goes on in a new one. An
        error of the disk is named in ``disk``: the trial is not to blame, and its last whole epoch is kept.

        Where the study asks for what a net costs, a new trial's first record is that alone: ``costs``, by name.
        """
        try:
            if self._costs is None:
                self._costs = self._measured()
                costs.begin(self._job)
                if self._costs and self._resume is None:
                    return {"costs": self._costs}
            if self._epochs is None:
                self._epochs = self._trainer(self._config, self._job, self._resume)
            record = self._keep(next(self._epochs))
            self._came_on = True
            return record
        except Exception as error:
            found: dict[str, Any] = {"error": one_line(error)}
            if (reason := disk_trouble(error)) is not None:
                return found | {"disk": reason}
            if isinstance(error, CheckpointError):
                return found | {"cannot_go_on": self._resume is not None}
            if _better_elsewhere(error, resumed=self._resume is not None and not self._came_on):
                raise
            return found

    def _measured(self) -> dict[str, float]:
        """Return what the net costs: measured, or what an earlier run of the trial measured."""
        if not self._job.costs:
            return {}
        if self._resume is None:
            return costs.of_net(self._config, self._job)
        try:
            return dict(json.loads((self._resume / _layout.RECORD).read_bytes())["attrs"]["costs"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            msg = f"{self._resume} must say what its net costs, got {error!r}; the trial begins anew"
            raise CheckpointError(msg) from None

    def _spent(self) -> dict[str, dict[str, float]]:
        """Return the attribute that holds the trial's costs so far."""
        assert self._costs is not None
        for name, value in costs.of_training(self._job).items():
            self._costs[name] = max(value, self._costs.get(name, value))
        return {"costs": dict(self._costs)} if self._costs else {}

    def _keep(self, result: EpochResult) -> dict[str, Any]:
        target = _layout.epoch_folder(self._folder, result.epoch)
        for name in sorted((self._job.wanted | {self._job.metric}) & result.figures.keys()):
            if not isfinite(result.figures[name]):
                msg = f"{name} must be a finite number, got {result.figures[name]} in epoch {result.epoch}"
                raise TrainingError(msg)
        record = self._record(result, target)
        clear_unfinished(target)  # of a worker that was killed while it saved this epoch
        with new_folder(target) as part:
            result.save(part)
            write_json(part / _layout.RECORD, record)
        for old in self._folder.glob("epoch-*"):
            if old != target:
                shutil.rmtree(old, ignore_errors=True)  # on NFS a file that is open elsewhere cannot go
        return record

    def _record(self, result: EpochResult, target: Path) -> dict[str, Any]:
        figures = {name: value for name, value in result.figures.items() if isfinite(value)}  # JSON has no others
        rate = _known(result.images_per_second)
        history = {
            "epoch": result.epoch,
            "figures": figures,
            "train_loss": _known(result.train_loss),
            "lr": _known(result.lr),
            "seconds": result.seconds,
            "images_per_second": rate,
        }
        attrs = {
            "checkpoint": str(target.relative_to(self._job.study)),
            "epoch": result.restored or result.epoch,
            "figures": figures,
            "images_per_second": rate,
            "seed": self._config.seed,
            "host": socket.gethostname(),
            "versions": self._job.provenance.get("versions", {}),
            **result.details,
            **self._spent(),
        }
        value = figures[self._job.metric]
        return {"epoch": result.epoch, "value": value, "finished": result.done, "history": history, "attrs": attrs}


def _known(value: float) -> float | None:
    return None if isnan(value) else value


def _better_elsewhere(error: Exception, *, resumed: bool) -> bool:
    """Tell whether a trial should go on in another process: this one's GPU is lost to it, or its memory is full.

    Args:
        error: what ended the trial here.
        resumed: its first epoch since it was resumed is not finished; memory was enough for the epochs before.
    """
    cause = error.__cause__ if isinstance(error, FerhpoError) and error.__cause__ else error
    if not resumed and "CUDA error" not in str(cause):
        return False  # torch need not be loaded to tell
    from ferhpo.training.guard import device_is_lost, out_of_memory

    return device_is_lost(cause) or (resumed and out_of_memory(cause))


def disk_trouble(error: BaseException) -> str | None:
    """Return what the disk said if it caused an error, else None.

    Some libraries raise errors of their own that hold the system's words but not its number.
    """
    number = error.errno if isinstance(error, OSError) else None
    return next((os.strerror(code) for code in DISK if number == code or os.strerror(code) in str(error)), None)
