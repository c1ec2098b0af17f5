import json
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("ray")

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from ferhpo.search.searcher import StudyScheduler, StudySearcher
from ferhpo.search.under_way import Assignment
from ferhpo.space.config import TrialConfig


class FakeSession:
    """Gives one trial, then none; remembers what it is told."""

    def __init__(self) -> None:
        self.left, self.over, self.told = 1, False, []

    def next_trial(self) -> Assignment | None:
        self.left -= 1
        return Assignment(number=7, config=TrialConfig(lr=0.5), epoch=2) if self.left >= 0 else None

    def epoch(self, number: int, record: dict[str, Any]) -> bool:
        self.told.append((number, record))
        return record["epoch"] < 3

    def lost(self, number: int, reason: str) -> None:
        self.told.append((number, reason))


def test_a_suggestion_rebuilds_the_configuration_and_knows_where_to_go_on() -> None:
    suggested = StudySearcher(FakeSession()).suggest("ray-1")  # pyright: ignore[reportArgumentType]
    assert isinstance(suggested, dict)
    assert (suggested["number"], suggested["epoch"]) == (7, 2)
    assert TrialConfig.from_json(suggested["config"]) == TrialConfig(lr=0.5)


def test_no_trial_now_is_none_and_no_trial_ever_is_finished() -> None:
    session = FakeSession()
    searcher = StudySearcher(session)  # pyright: ignore[reportArgumentType]
    searcher.suggest("ray-1")
    assert searcher.suggest("ray-2") is None
    session.over = True
    assert searcher.suggest("ray-3") == Searcher.FINISHED


def test_a_dead_worker_is_passed_on_with_its_trials_number() -> None:
    session = FakeSession()
    searcher = StudySearcher(session)  # pyright: ignore[reportArgumentType]
    searcher.suggest("ray-1")
    searcher.on_trial_complete("ray-1", error=True)
    assert session.told[0][0] == 7
    assert "died" in session.told[0][1]


def test_every_result_reaches_the_session_and_its_verdict_reaches_ray() -> None:
    session = FakeSession()
    scheduler = StudyScheduler(session)  # pyright: ignore[reportArgumentType]
    trial: Any = SimpleNamespace(config={"number": 7})
    assert scheduler.on_trial_result(None, trial, {"record": json.dumps({"epoch": 1})}) == TrialScheduler.CONTINUE
    assert scheduler.on_trial_result(None, trial, {"record": json.dumps({"epoch": 3})}) == TrialScheduler.STOP
    assert [record["epoch"] for _, record in session.told] == [1, 3]
