"""The split of a machine: decided from figures, never the end of a search."""

import json
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ferhpo.errors import SearchError
from ferhpo.search.events import Note
from ferhpo.search.machine import timing
from ferhpo.search.machine.packing import choose, decide
from ferhpo.search.machine.timing import FILE, Measured
from ferhpo.search.machine.workers import Split, Workers
from ferhpo.space.config import TrialConfig

GIB = 1 << 30


def data(folder: Path, rows: int = 25_000) -> Any:
    part = SimpleNamespace(rows=np.arange(rows))
    return SimpleNamespace(folder=folder / "key", images=np.zeros((1, 48, 48, 1), np.uint8), part=lambda _: part)


def test_the_fastest_split_is_taken_and_of_close_ones_that_with_fewer_trials() -> None:
    rates = {1: 262.0, 2: 301.0, 4: 305.0}
    assert decide(Measured(rates=rates, bytes=GIB), [1, 2, 4], 64 * GIB) == 2
    assert decide(Measured(rates=rates | {4: 350.0}, bytes=GIB), [1, 2, 4], 64 * GIB) == 4
    assert decide(Measured(rates=rates, bytes=GIB), [1], 64 * GIB) == 1


def test_no_more_trials_run_than_fit_into_the_memory() -> None:
    found = Measured(rates={1: 100.0, 2: 200.0, 4: 400.0, 8: 800.0}, bytes=GIB)
    assert decide(found, [1, 2, 4, 8], 7 * GIB) == 4
    assert decide(found, [1, 2, 4, 8], GIB // 2) == 1


class Chosen:
    """`choose` with a measurement that is made up and counted."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.notes: list[str] = []
        self.measured = 0
        self.found: Measured | Exception = Measured(rates={1: 262.0, 2: 301.0}, bytes=GIB)
        self._data = data(folder)
        monkeypatch.setattr(timing, "probe", self._probe)

    def _probe(self, *_: object) -> Measured:
        self.measured += 1
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def __call__(
        self,
        workers: Workers | None = None,
        *,
        trials: int = 30,
        epochs: float = 240,
        seconds: float = inf,
        **resources: float,
    ) -> Split:
        return choose(
            workers or Workers(),
            [resources or {"CPU": 2.0, "memory": 16.0 * GIB}],
            config=TrialConfig(),
            data=self._data,
            trials=trials,
            epochs=epochs,
            seconds=seconds,
            emit=lambda event: self.notes.append(event.text) if isinstance(event, Note) else None,
        )


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chosen:
    return Chosen(tmp_path, monkeypatch)


def test_what_was_chosen_is_said_with_the_figures_and_kept_for_the_next_search(chosen: Chosen, tmp_path: Path) -> None:
    assert chosen() == Split(trials=2, cpus=1)
    assert chosen.notes == ["2 trials at a time with 1 CPU each: 301 images/s in total, 1 with 2: 262"]
    assert chosen() == Split(trials=2, cpus=1)
    assert chosen.measured == 1
    assert len(json.loads((tmp_path / FILE).read_text())) == 1


def test_a_figure_that_is_kept_serves_whatever_is_left_and_free(chosen: Chosen) -> None:
    chosen()
    assert chosen(CPU=2, memory=2 * GIB) == Split(trials=1, cpus=2)
    assert chosen(trials=2, epochs=2, seconds=10) == Split(trials=2, cpus=1)
    assert chosen.measured == 1


@pytest.mark.parametrize(
    "workers", [Workers(cpus=1), Workers(concurrency=1), Workers(gpus=0.5), Workers(address="here:6379")]
)
def test_nothing_is_measured_where_the_user_has_said_how(chosen: Chosen, workers: Workers) -> None:
    resources = {"CPU": 2, "GPU": 1, "memory": 16 * GIB}
    assert chosen(workers, **resources) == workers.fit(resources)
    assert chosen.measured == 0
    assert not chosen.notes


def test_gpus_that_the_user_does_not_want_leave_the_cpus_to_be_measured(chosen: Chosen) -> None:
    assert chosen(Workers(gpus=0), CPU=2, GPU=1, memory=16 * GIB) == Split(trials=2, cpus=1)
    assert chosen.measured == 1


@pytest.mark.parametrize("short", [{"epochs": 4}, {"seconds": 60.0}])
def test_a_short_search_is_not_kept_waiting(chosen: Chosen, short: dict[str, Any]) -> None:
    assert chosen(**short) == Workers().fit({"CPU": 2})
    assert chosen.measured == 0


def test_the_last_trial_gets_every_cpu(chosen: Chosen) -> None:
    assert chosen(trials=1) == Split(trials=1, cpus=2)
    assert chosen.measured == 0


def test_trials_share_each_gpu_in_fractions(chosen: Chosen) -> None:
    chosen.found = Measured(rates={1: 100.0, 2: 180.0, 4: 240.0, 8: 241.0}, bytes=GIB)
    assert chosen(CPU=32, GPU=2, memory=64 * GIB) == Split(trials=8, cpus=4, gpus=0.25)
    assert chosen.notes[0].startswith(
        "8 trials at a time with 4 CPUs and 0.25 GPUs each: 240 images/s in total on a GPU"
    )


def test_the_trials_of_all_gpus_share_the_memory(chosen: Chosen) -> None:
    chosen.found = Measured(rates={1: 100.0, 2: 180.0, 4: 240.0}, bytes=GIB)
    assert chosen(CPU=32, GPU=2, memory=7 * GIB) == Split(trials=4, cpus=8, gpus=0.5)


def test_a_measurement_that_fails_is_a_note_and_the_rule_holds(chosen: Chosen) -> None:
    chosen.found = SearchError("no memory")
    assert chosen() == Workers().fit({"CPU": 2})
    assert chosen.notes == [
        "the best split of this machine could not be measured (no memory); 2 trials at a time with 1 CPU each"
    ]


@pytest.mark.parametrize(
    "text", ["{", '{"a": {}}', '{"a": {"rates": {"x": 1}, "bytes": 1}}', '{"a": {"rates": {"2": 1}, "bytes": 1}}']
)
def test_a_damaged_file_costs_a_measurement_and_nothing_else(chosen: Chosen, tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert chosen() == Split(trials=2, cpus=1)
    assert chosen.measured == 1
