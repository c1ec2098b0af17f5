import pytest

from ferhpo.errors import UsageError
from ferhpo.search.workers import Split, Workers


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
