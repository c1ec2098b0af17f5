import json
from pathlib import Path
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
        self.ending, self.handed_back = False, []

    def next_trial(self) -> Assignment | None:
        self.left -= 1
        return Assignment(number=7, config=TrialConfig(lr=0.5), epoch=2) if self.left >= 0 else None

    def epoch(self, number: int, record: dict[str, Any]) -> bool:
        self.told.append((number, record))
        return record["epoch"] < 3

    def lost(self, number: int, reason: str) -> None:
        self.told.append((number, reason))

    def ends(self) -> bool:
        return self.ending

    def hand_back(self, number: int) -> None:
        self.handed_back.append(number)


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


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("The actor died unexpectedly before finishing this task.\n\tpid: 7\nconnection error code 2.", []),
        ("ray::step()\nRuntimeError: CUDA error: x\nTip", [(7, "its worker had to end (RuntimeError: CUDA error: x)")]),
        (
            "The actor died because of an error raised in its creation task, ray::Inner.__init__()\n"
            "RuntimeError: The actor with name Inner failed to import on the worker.\n\n"
            "ModuleNotFoundError: No module named 'ferhpo'\n\n",
            [(7, "its worker could not begin (ModuleNotFoundError: No module named 'ferhpo')")],
        ),
    ],
)
def test_what_a_worker_ended_of_is_passed_on_where_ray_knows_more_than_that_it_did(
    tmp_path: Path, said: str, told: list[object]
) -> None:
    session, file = FakeSession(), tmp_path / "error.txt"
    file.write_text(f"Failure # 1 (occurred at 2026-12-01_00-00-00)\n{said}\n")
    trial: Any = SimpleNamespace(config={"number": 7}, error_file=str(file))
    StudyScheduler(session).on_trial_error(None, trial)  # pyright: ignore[reportArgumentType]
    assert session.told == told


def test_a_trial_whose_worker_is_still_to_come_when_the_search_ends_waits_for_the_next_run() -> None:
    session, stopped = FakeSession(), []
    trial: Any = SimpleNamespace(config={"number": 7}, status="PENDING")
    tune = SimpleNamespace(get_trials=lambda: [trial], stop_trial=stopped.append)
    scheduler = StudyScheduler(session)  # pyright: ignore[reportArgumentType]
    assert scheduler.choose_trial_to_run(tune) is trial
    session.ending = True
    assert scheduler.choose_trial_to_run(tune) is None
    assert (session.handed_back, stopped) == ([7], [trial])


def test_every_result_reaches_the_session_and_its_verdict_reaches_ray() -> None:
    session = FakeSession()
    scheduler = StudyScheduler(session)  # pyright: ignore[reportArgumentType]
    trial: Any = SimpleNamespace(config={"number": 7})
    assert scheduler.on_trial_result(None, trial, {"record": json.dumps({"epoch": 1})}) == TrialScheduler.CONTINUE
    assert scheduler.on_trial_result(None, trial, {"record": json.dumps({"epoch": 3})}) == TrialScheduler.STOP
    assert [record["epoch"] for _, record in session.told] == [1, 3]
