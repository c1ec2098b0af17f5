"""A user's function as a trainer: one value an epoch, going on where it was, its errors the trial's own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fakes
import pytest
from conftest import open_writer

from ferhpo import _layout
from ferhpo.report.facts import facts
from ferhpo.search import objective
from ferhpo.search.budget import Limits
from ferhpo.search.job import Job
from ferhpo.search.session import Session
from ferhpo.search.work import TrialWork
from ferhpo.space.config import TrialConfig
from ferhpo.study.study import Study

CONFIG = TrialConfig(epochs=3)


def value(config: TrialConfig, epoch: int) -> float:
    return config.lr * epoch


def values(config: TrialConfig) -> Iterator[float]:
    for epoch in range(1, config.epochs + 1):
        yield config.lr * epoch


@pytest.fixture
def job(tmp_path: Path, data: fakes.FakeData) -> Job:
    return fakes.job(tmp_path / "study", data)


@pytest.mark.parametrize("given", [value, values])
def test_each_epoch_has_its_value_and_the_last_ends_the_trial(given: objective.Objective, job: Job) -> None:
    epochs = list(objective.trainer(given)(CONFIG, job, None))
    assert [e.figures["accuracy"] for e in epochs] == pytest.approx([0.1, 0.2, 0.3])
    assert [(e.epoch, e.done) for e in epochs] == [(1, False), (2, False), (3, True)]


@pytest.mark.parametrize("given", [value, values])
def test_it_goes_on_after_the_epochs_behind_it(given: objective.Objective, job: Job) -> None:
    first = TrialWork(0, CONFIG, 0, job, objective.trainer(given))
    assert [first.next()["epoch"] for _ in range(2)] == [1, 2]
    again = TrialWork(0, CONFIG, 2, job, objective.trainer(given)).next()
    assert (again["epoch"], again["finished"], again["value"]) == (3, True, pytest.approx(0.3))


def test_several_quantities_are_given_by_name_and_none_may_be_missing(tmp_path: Path, data: fakes.FakeData) -> None:
    two = fakes.spec(head='metric = ["accuracy", "latency_ms"]\nconstraints = ["params <= 9"]\n')
    job = replace(fakes.job(tmp_path, data, two), costs=frozenset())

    def all_three(config: TrialConfig, epoch: int) -> dict[str, float]:
        return {"accuracy": 0.1 * epoch, "latency_ms": config.lr, "params": 7}

    record = TrialWork(0, CONFIG, 0, job, objective.trainer(all_three)).next()
    assert record["attrs"]["figures"] == {"accuracy": 0.1, "latency_ms": 0.1, "params": 7}
    record = TrialWork(1, CONFIG, 0, job, objective.trainer(value)).next()
    assert record["error"].startswith("the objective must also return 'latency_ms'; return a mapping with accuracy")


def test_a_state_that_is_gone_queues_the_trial_again(job: Job) -> None:
    work = TrialWork(0, CONFIG, 0, job, objective.trainer(value))
    work.next()
    (_layout.epoch_folder(_layout.trial_folder(job.study, 0), 1) / _layout.STATE).unlink()
    record = TrialWork(0, CONFIG, 1, job, objective.trainer(value)).next()
    assert record["cannot_go_on"]


def test_errors_are_the_records_of_the_trial(job: Job) -> None:
    def no_number(config: TrialConfig, epoch: int) -> float:
        return None  # pyright: ignore[reportReturnType]

    def short(config: TrialConfig) -> Iterator[float]:
        yield config.lr

    def own_error(config: TrialConfig, epoch: int) -> float:
        msg = "mine"
        raise TypeError(msg)

    assert (
        "a number an epoch, got NoneType" in TrialWork(0, CONFIG, 0, job, objective.trainer(no_number)).next()["error"]
    )
    work = TrialWork(1, CONFIG, 0, job, objective.trainer(short))
    work.next()
    assert "each of its 3 epochs, it ended after 1" in work.next()["error"]
    assert TrialWork(2, CONFIG, 0, job, objective.trainer(own_error)).next()["error"] == "TypeError: mine"


def test_a_study_without_images_is_searched_and_reported(root: Path) -> None:
    data = objective.no_images(root / ".cache")
    with open_writer(fakes.spec(trials=3), root, data) as writer:  # pyright: ignore[reportArgumentType]
        val = data.part("val")
        writer.keep_validation(val.labels, val.groups)
        notes: list[object] = []
        session = Session(writer, Limits(trials=3), emit=notes.append)
        while (assignment := session.next_trial()) is not None:
            job = replace(fakes.job(writer.folder, fakes.FakeData(folder=root)), metric="accuracy")
            work = TrialWork(assignment.number, assignment.config, 0, job, objective.trainer(value))
            while session.epoch(assignment.number, work.next()):
                pass
    study = Study.open(root, "toy")
    assert sum(t.counts for t in study.trials()) == 3
    assert not [n for n in notes if "left out" in str(n)], "there is no ensemble to complain about"
    about = facts(study)
    assert (about.classes, about.majority) == ((), None)
