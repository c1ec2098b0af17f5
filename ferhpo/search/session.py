"""`Session`: the decisions of one search run, without Ray.

Ray's adapters (`searcher.py`) pass every question on to it: which trial is next, does this one go on, what became
of it. It writes the answers into the study and emits an event for each. So the whole search can be tested in a loop
of ten lines.
"""

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from ferhpo._seeding import derive
from ferhpo.metrics import metric
from ferhpo.search.asha import scheduler
from ferhpo.search.events import Emit, EpochEnded, Note, TrialBegan, TrialEnded
from ferhpo.space.config import TrialConfig
from ferhpo.study.artifacts import drop_state, keep_best
from ferhpo.study.writer import StudyWriter

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What ends a search.

    Args:
        trials: the study's total, earlier runs included.
        seconds: wall time of this run, None is no limit.
        max_failures: failed trials in a row.
    """

    trials: int
    seconds: float | None = None
    max_failures: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A trial for a worker; ``epoch`` epochs are behind it."""

    number: int
    config: TrialConfig
    epoch: int


class Session:
    """One run of a search.

    Args:
        writer: the study, open for writing and settled.
        limits: after the time no trial starts and running ones end at their next epoch.
        emit: called with every event.
        clock: seconds, monotonic.
    """

    def __init__(
        self, writer: StudyWriter, limits: Limits, *, emit: Emit, clock: Callable[[], float] = time.monotonic
    ) -> None:
        spec = writer.spec
        self.writer, self.limits, self.emit = writer, limits, emit
        self.stopping: str | None = None  # why the search ends before its total
        self.gave_up = False  # too many failures in a row
        self.running: dict[int, Assignment] = {}
        self._clock = clock
        self._deadline = None if limits.seconds is None else clock() + limits.seconds
        self._metric = metric(spec.metric)
        self._rule = scheduler(spec.scheduler, spec.budget.epochs, maximize=self._metric.maximize)
        self._failures = 0
        for trial in writer.reader.trials():
            self._rule.record(trial.number, trial.values)

    @property
    def over(self) -> bool:
        """Tell whether nothing runs and nothing more is to start."""
        return not self.running and (self._ends() or self.writer.count() >= self.limits.trials)

    def next_trial(self) -> Assignment | None:
        """Return the next trial to run, None if none is to start now (see `over`)."""
        if self._ends() or self.writer.count() + len(self.running) >= self.limits.trials:
            return None
        number, config, params = self.writer.ask(self._complete)
        assignment = Assignment(number=number, config=config, epoch=max(self.writer.values(number), default=0))
        self.running[number] = assignment
        self.emit(TrialBegan(number=number, params=params, epoch=assignment.epoch, epochs=config.epochs))
        return assignment

    def epoch(self, number: int, record: Record) -> bool:
        """Take what a worker reported after an epoch and tell whether the trial goes on.

        Args:
            number: the trial's.
            record: see `work.TrialWork.next`: an epoch's figures, or an ``error``.
        """
        if record.get("error"):
            self._failed(number, record)
            return False
        value, epochs = record["value"], self.running[number].config.epochs
        if not isfinite(value):
            self._failed(
                number,
                {"error": f"{self._metric.name} must be a finite number, got {value} in epoch {record['epoch']}"},
            )
            return False
        self.writer.report(number, record["epoch"], value, record["history"])
        self.emit(
            EpochEnded(
                number=number, epoch=record["epoch"], epochs=epochs, value=value, seconds=record["history"]["seconds"]
            )
        )
        if record["finished"]:
            self._end(number, "COMPLETE", record)
        elif not self._rule.goes_on(number, record["epoch"], value):
            self._end(number, "PRUNED", record)
        elif self._ends():
            self.hand_back(number)
        else:
            return True
        return False

    def lost(self, number: int, reason: str) -> None:
        """Take note that a worker died under a trial; one that has ended already is left as it is."""
        if number in self.running:
            self._failed(number, {"error": reason})

    def hand_back(self, number: int) -> None:
        """Let a running trial wait for the next run of the search, values and state kept."""
        del self.running[number]
        self.writer.hand_back(number)
        self.emit(TrialEnded(number=number, state="WAITING", value=None))

    def stop(self, reason: str) -> None:
        """Start no further trial and end running ones at their next epoch."""
        if self.stopping is None:
            self.stopping = reason
            self.emit(Note(text=reason))

    def _ends(self) -> bool:
        if self._deadline is not None and self._clock() >= self._deadline:
            self.stop("time is up: running trials end at their next epoch and wait for the next run")
        return self.stopping is not None

    def _complete(self, config: TrialConfig, number: int) -> TrialConfig:
        spec = self.writer.spec
        return config.with_params({"epochs": spec.budget.epochs, "seed": derive(spec.seed, "trial", number)})

    def _end(self, number: int, state: str, record: Record) -> None:
        del self.running[number]
        self._failures = 0
        drop_state(self.writer.folder / record["attrs"]["checkpoint"])
        self.writer.finish(number, state, record["value"], record["attrs"])
        self.emit(TrialEnded(number=number, state=state, value=record["value"]))
        keep_best(self.writer.reader, also=self.running)

    def _failed(self, number: int, record: Record) -> None:
        del self.running[number]
        if record.get("cannot_go_on"):
            self.writer.requeue(number, record["error"])
            self.emit(TrialEnded(number=number, state="QUEUED AGAIN", value=None, error=record["error"]))
            return
        self.writer.finish(number, "FAIL", None, {"error": record["error"], "host": socket.gethostname()})
        self.emit(TrialEnded(number=number, state="FAIL", value=None, error=record["error"]))
        keep_best(self.writer.reader, also=self.running)
        self._failures += 1
        if self._failures >= self.limits.max_failures:
            self.gave_up = True
            self.stop(
                f"{self._failures} trials in a row failed, so the search gives up; the last error: {record['error']}"
            )
