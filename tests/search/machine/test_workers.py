import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferhpo.errors import UsageError
from ferhpo.search.events import Event, Note
from ferhpo.search.machine import workers as module
from ferhpo.search.machine.workers import Machine, Split, Workers, with_usable_gpus


@pytest.mark.parametrize(
    ("resources", "workers", "expected"),
    [
        ({"CPU": 2}, Workers(), (2, 1, 0)),
        ({"CPU": 16}, Workers(), (4, 4, 0)),
        ({"CPU": 16, "GPU": 1}, Workers(), (1, 4, 1)),
        ({"CPU": 16, "GPU": 1}, Workers(gpus=0.25), (4, 4, 0.25)),
        ({"CPU": 16, "GPU": 1}, Workers(gpus=0), (4, 4, 0)),
        ({"CPU": 64, "GPU": 8}, Workers(), (8, 8, 1)),
        ({"CPU": 8}, Workers(cpus=2, concurrency=3), (3, 2, 0)),
        ({"CPU": 16}, Workers(concurrency=8), (8, 2, 0)),
        ({"CPU": 16}, Workers(concurrency=1), (1, 16, 0)),
        ({"CPU": 2}, Workers(concurrency=4), (2, 1, 0)),
        ({"CPU": 16, "GPU": 1}, Workers(concurrency=4), (4, 4, 0.25)),
        ({"CPU": 16, "GPU": 1}, Workers(concurrency=8), (8, 2, 0.125)),
        ({"CPU": 16, "GPU": 1}, Workers(gpus=0.125), (8, 2, 0.125)),
        ({"CPU": 16, "GPU": 1}, Workers(cpus=2), (1, 2, 1)),
        ({"CPU": 16, "GPU": 4}, Workers(concurrency=6), (6, 2, 0.5)),
        ({"CPU": 16, "GPU": 4}, Workers(gpus=0.4), (8, 2, 0.4)),
        ({"CPU": 16, "GPU": 4}, Workers(gpus=2), (2, 4, 2)),
        ({"CPU": 64, "GPU": 1}, Workers(gpus=1 / 49), (49, 1, 1 / 49)),
        ({"CPU": 8, "GPU": 2}, Workers(cpus=4, concurrency=4), (2, 4, 1)),
        ({"CPU": 7, "GPU": 2}, Workers(concurrency=16), (7, 1, 0.25)),
        ({"CPU": 40, "GPU": 2}, Workers(gpus=1, concurrency=16), (2, 20, 1)),
    ],
)
def test_workers_fit_the_machine(
    resources: dict[str, float], workers: Workers, expected: tuple[int, int, float]
) -> None:
    trials, cpus, gpus = expected
    assert workers.fit(resources) == Split(trials=trials, cpus=cpus, gpus=gpus)


FOUR = [{"CPU": 8.0}] * 4
MIXED = [{"CPU": 4.0}, {"CPU": 16.0, "GPU": 1.0}, {"CPU": 16.0, "GPU": 1.0}]


@pytest.mark.parametrize(
    ("nodes", "workers", "expected"),
    [
        (FOUR, Workers(), (16, 2, 0)),
        (FOUR, Workers(concurrency=2), (2, 8, 0)),
        (FOUR, Workers(concurrency=8), (8, 4, 0)),
        (FOUR, Workers(cpus=8), (4, 8, 0)),
        (MIXED, Workers(), (2, 4, 1)),
        (MIXED, Workers(concurrency=8), (8, 4, 0.25)),
        (MIXED, Workers(gpus=0), (9, 4, 0)),
        ([{"memory": 1e9}, *FOUR], Workers(), (16, 2, 0)),
    ],
)
def test_a_trial_fits_one_machine_of_a_cluster(
    nodes: list[dict[str, float]], workers: Workers, expected: tuple[int, int, float]
) -> None:
    trials, cpus, gpus = expected
    assert workers.fit(*nodes) == Split(trials=trials, cpus=cpus, gpus=gpus)


def test_a_trial_that_does_not_fit_the_machine_is_refused() -> None:
    with pytest.raises(UsageError, match="asks for 8 CPUs and 0 GPUs, there are 2 and 0"):
        Workers(cpus=8).fit({"CPU": 2})


WITH_GPU = [{"CPU": 4.0, "GPU": 1.0, "memory": 8.0}]
FAILS = (sys.executable, "-S", "-c", "import sys; sys.exit('Traceback:\\nRuntimeError: the driver is too old')")
WORKS = (sys.executable, "-S", "-c", "")


def test_a_gpu_that_torch_cannot_use_is_left_alone_and_why_is_said(events: list[Event]) -> None:
    assert with_usable_gpus(WITH_GPU, Workers(), events.append, FAILS) == [{"CPU": 4.0, "memory": 8.0}]
    (note,) = events
    assert isinstance(note, Note)
    assert note.text.endswith("cannot use this machine's GPU (RuntimeError: the driver is too old)")


def test_a_gpu_that_torch_can_use_stays(events: list[Event]) -> None:
    assert with_usable_gpus(WITH_GPU, Workers(), events.append, WORKS) == WITH_GPU
    assert events == []


def test_nobody_looks_for_a_gpu_that_is_not_there_or_not_wanted(events: list[Event]) -> None:
    missing = ("no such program",)
    assert with_usable_gpus(WITH_GPU, Workers(gpus=0), events.append, missing) == WITH_GPU
    assert with_usable_gpus([{"CPU": 4.0}], Workers(), events.append, missing) == [{"CPU": 4.0}]


def test_asking_for_a_gpu_that_torch_cannot_use_is_refused(events: list[Event]) -> None:
    with pytest.raises(UsageError, match=r"--gpus-per-trial must be 0 .* got 0.5 \(RuntimeError: the driver"):
        with_usable_gpus(WITH_GPU, Workers(gpus=0.5), events.append, FAILS)


def test_a_gpu_that_gives_no_answer_is_left_alone(events: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GPU_SECONDS", 0.1)
    hangs = (sys.executable, "-S", "-c", "import time; time.sleep(60)")
    assert with_usable_gpus(WITH_GPU, Workers(), events.append, hangs) == [{"CPU": 4.0, "memory": 8.0}]
    assert "no answer within" in str(events)


def machine(cpus: int, gpus: int = 0) -> Machine:
    return Machine(cpus=cpus, gpus=gpus, memory=1 << 36)


@pytest.mark.parametrize(
    ("cpus", "trials", "expected"),
    [
        (2, 30, [1, 2]),
        (8, 30, [1, 2, 4, 8]),
        (6, 30, [1, 2, 6]),
        (8, 3, [1, 2]),
        (64, 99, [1, 2, 4, 8, 16]),
        (1, 9, [1]),
    ],
)
def test_cpus_are_split_by_powers_of_two_among_the_trials_that_are_left(
    cpus: int, trials: int, expected: list[int]
) -> None:
    assert machine(cpus).candidates(trials) == expected


@pytest.mark.parametrize(
    ("cpus", "gpus", "trials", "expected"), [(16, 1, 30, [1, 2, 4, 8]), (4, 1, 30, [1, 2, 4]), (16, 4, 6, [1, 2])]
)
def test_a_gpu_takes_as_many_trials_as_have_a_cpu_each(cpus: int, gpus: int, trials: int, expected: list[int]) -> None:
    assert machine(cpus, gpus).candidates(trials) == expected


@given(st.integers(1, 256), st.integers(0, 8), st.integers(1, 100))
def test_no_split_asks_for_more_than_there_is(cpus: int, gpus: int, trials: int) -> None:
    here = machine(max(cpus, gpus), gpus)
    for n in here.candidates(trials):
        split = here.split(n, trials)
        assert split.trials * split.cpus <= here.cpus
        assert split.trials * split.gpus <= gpus
        assert 1 <= split.trials <= trials
