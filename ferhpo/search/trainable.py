"""A reusable Ray actor that works on one trial after another.

It lives for the whole search, so imports, the device's context and the prepared data are paid for once, not per trial.
"""

import json
from typing import Any

from ray import tune

from ferhpo.search.job import Job, Trainer
from ferhpo.search.work import TrialWork
from ferhpo.space.config import TrialConfig


class TrialActor(tune.Trainable):
    """Ray calls `step` once an epoch and `reset_config` between two trials."""

    def setup(self, config: dict[str, Any], **same_for_all: Any) -> None:
        """Begin the actor's first trial; ``job`` and ``trainer`` come by name from `tune.with_parameters`."""
        self._job: Job = same_for_all["job"]
        self._trainer: Trainer = same_for_all["trainer"]
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next trial in the same process."""
        config = TrialConfig.from_json(new_config["config"])
        self._work = TrialWork(new_config["number"], config, new_config["epoch"], self._job, self._trainer)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch and return its record as JSON, which Tune cannot flatten or mistake for its own keys."""
        return {"record": json.dumps(self._work.next())}
