"""The bridge between Ray Tune and `UnderWay`: Tune's two interfaces, each passing its questions on.

Not `OptunaSearch`: that one tells ASHA-stopped trials COMPLETE, loses trials on a crash and keeps its memory in a
pickle; here the study database is the only memory, so there is nothing to save or restore.
"""

import json
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from ferhpo.search.under_way import UnderWay

UNBEGUN = "raised in its creation task"  # Ray's words for a worker that could not be set up: its node lacks a package


class StudySearcher(Searcher):
    """Asks the session for trials and tells it of workers that died."""

    def __init__(self, session: UnderWay) -> None:
        super().__init__()
        self._session = session
        self._numbers: dict[str, int] = {}  # Ray's trial id -> trial number
        self._latest: dict[int, str] = {}  # the other way round: a paused trial goes on as another one of Ray's

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial's config (a dict), None if there is none now, FINISHED if there will be none."""
        assignment = self._session.next_trial()
        if assignment is None:
            return Searcher.FINISHED if self._session.over else None
        self._numbers[trial_id], self._latest[assignment.number] = assignment.number, trial_id
        return {"number": assignment.number, "config": assignment.config.to_json(), "epoch": assignment.epoch}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Pass on that a trial is over; the session already knows unless its worker died."""
        reason = "its worker process died, perhaps for lack of memory" if error else "it was stopped from outside"
        number = self._numbers.pop(trial_id)
        if self._latest[number] == trial_id:
            self._session.lost(number, reason)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the study has everything."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: a search goes on by being run again."""


class StudyScheduler(FIFOScheduler):
    """Hands every result to the session and passes its verdict back."""

    def __init__(self, session: UnderWay) -> None:
        super().__init__()
        self._session = session

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ARG002
        """Return CONTINUE or STOP for the trial that reported."""
        goes_on = self._session.epoch(trial.config["number"], json.loads(result["record"]))
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ARG002
        """Tell the session what a worker ended of, where it said so; the searcher tells it of those that just died."""
        # Not `get_error`: it looks where the file will be copied to later.
        text = Path(trial.error_file).read_text(errors="replace") if trial.error_file else ""
        lines = list(filter(None, map(str.strip, text.splitlines())))
        reason = next((line for line in reversed(lines) if "CUDA error" in line), None)
        if reason is not None:
            self._session.lost(trial.config["number"], f"its worker had to end ({reason})")
        elif UNBEGUN in text:
            self._session.lost(trial.config["number"], f"its worker could not begin ({lines[-1]})")

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return a trial that waits for a worker; once the search ends, let it wait for the next run.

        A worker may take long to come: it imports torch, or other jobs fill the cluster.
        """
        chosen = super().choose_trial_to_run(tune_controller)
        if chosen is None or not self._session.ends():
            return chosen
        self._session.hand_back(chosen.config["number"])
        tune_controller.stop_trial(chosen)
        return None


class Silent(TrialProgressCallback):
    """Stands in for Tune's own, which prints a line of a trial that ends before its first epoch at any verbosity."""

    def on_trial_complete(self, *_args: Any, **_info: Any) -> None:
        """Print nothing."""
