import errno
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import pytest
import torch

from ferhpo import _layout
from ferhpo.errors import TrainingError
from ferhpo.search import costs
from ferhpo.search.job import Job, train_trial
from ferhpo.search.work import TrialWork
from ferhpo.space.config import TrialConfig
from ferhpo.training.result import EpochResult


def work(tmp_path: Path, data: fakes.FakeData, *, epoch: int = 0, **settings: Any) -> TrialWork:
    config = TrialConfig(epochs=3, **settings)
    return TrialWork(4, config, epoch, fakes.job(tmp_path, data), fakes.trainer)


def test_an_epoch_leaves_its_files_and_only_its_own(tmp_path: Path, data: fakes.FakeData) -> None:
    worker = work(tmp_path, data)
    worker.next()
    worker.next()
    assert [p.name for p in (tmp_path / "trials" / "0004").iterdir()] == ["epoch-0002"]


def test_what_is_reported_stands_in_the_epochs_folder_word_for_word(tmp_path: Path, data: fakes.FakeData) -> None:
    record = work(tmp_path, data).next()
    folder = tmp_path / record["attrs"]["checkpoint"]
    assert json.loads((folder / _layout.RECORD).read_bytes()) == record
    assert record["value"] == record["attrs"]["figures"]["accuracy"]


def test_a_trial_that_goes_on_begins_after_its_last_epoch(tmp_path: Path, data: fakes.FakeData) -> None:
    first = work(tmp_path, data)
    first.next()
    assert work(tmp_path, data, epoch=1).next()["epoch"] == 2


def test_what_a_net_costs_is_told_before_its_first_epoch_and_kept_with_every_epoch(
    tmp_path: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    peaks = iter([300.0, 200.0, 400.0])
    monkeypatch.setattr(costs, "of_net", fakes.net_costs)
    monkeypatch.setattr(costs, "of_training", lambda _: {"memory_mib": next(peaks)})
    job = fakes.job(tmp_path, data, fakes.spec(head='metric = ["accuracy", "params"]\n'))
    config = TrialConfig(epochs=3, dropout=0.5)
    first = TrialWork(4, config, 0, job, fakes.trainer)
    assert first.next() == {"costs": fakes.net_costs(config, job)}
    assert [first.next()["attrs"]["costs"]["memory_mib"] for _ in range(2)] == [300, 300]
    monkeypatch.setattr(costs, "of_net", lambda _c, _j: pytest.fail("measured twice"))
    again = TrialWork(4, config, 2, job, fakes.trainer).next()
    assert again["epoch"] == 3
    assert again["attrs"]["costs"] == fakes.net_costs(config, job) | {"memory_mib": 400}


def test_a_state_that_is_gone_is_reported_as_such(tmp_path: Path, data: fakes.FakeData) -> None:
    assert work(tmp_path, data, epoch=2).next()["cannot_go_on"] is True


def test_an_error_is_a_record_of_one_line(tmp_path: Path, data: fakes.FakeData) -> None:
    assert work(tmp_path, data, lr=0.95).next() == {"error": "ValueError: lr is too high"}


@pytest.mark.parametrize(
    ("text", "raised"),
    [
        ("CUDA error: an illegal memory access was encountered", True),
        ("CUDA error: out of memory", False),
        ("mat1 and mat2 shapes cannot be multiplied", False),
    ],
)
def test_an_error_after_which_a_gpu_answers_no_more_ends_the_worker(
    tmp_path: Path, data: fakes.FakeData, text: str, raised: bool
) -> None:
    def trainer(*_: object) -> Iterator[Any]:
        raise RuntimeError(text)

    worker = TrialWork(4, TrialConfig(), 0, fakes.job(tmp_path, data), trainer)
    if raised:
        with pytest.raises(RuntimeError, match="illegal memory access"):
            worker.next()
    else:
        assert worker.next() == {"error": f"RuntimeError: {text}"}


@pytest.mark.parametrize(("text", "lost"), [("CUDA error: bad address", True), ("CUDA error: out of memory", False)])
def test_what_lies_behind_our_own_sentence_tells_whether_the_gpu_is_lost(
    tmp_path: Path, data: fakes.FakeData, text: str, lost: bool
) -> None:
    def trainer(*_: object) -> Iterator[Any]:
        msg = f"a training failed ({text})"
        raise TrainingError(msg) from RuntimeError(text)

    worker = TrialWork(4, TrialConfig(), 0, fakes.job(tmp_path, data), trainer)
    if lost:
        with pytest.raises(TrainingError):
            worker.next()
    else:
        assert worker.next() == {"error": f"a training failed ({text})"}


def test_memory_that_sufficed_before_a_resume_may_suffice_in_another_process(
    tmp_path: Path, data: fakes.FakeData
) -> None:
    def trainer(config: TrialConfig, job: Job, resume: Path | None) -> Iterator[EpochResult]:
        if resume is None:
            yield next(fakes.trainer(config, job, None))
        msg = "CUDA out of memory"
        raise torch.OutOfMemoryError(msg)

    fresh, resumed = (TrialWork(4, TrialConfig(), epoch, fakes.job(tmp_path, data), trainer) for epoch in (0, 1))
    assert fresh.next()["epoch"] == 1
    assert fresh.next() == {"error": "OutOfMemoryError: CUDA out of memory"}
    with pytest.raises(torch.OutOfMemoryError):
        resumed.next()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError('Error while serializing: I/O error: Os { code: 28, message: "No space left on device" }'),
    ],
)
def test_a_disk_that_takes_no_more_is_named_and_the_epoch_before_is_kept(
    tmp_path: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    worker = work(tmp_path, data)
    worker.next()

    def save(*_: object) -> None:
        raise error

    monkeypatch.setattr(fakes, "write_bytes", save)
    record = worker.next()
    assert record["disk"] in str(error)
    assert "cannot_go_on" not in record
    assert [p.name for p in (tmp_path / "trials" / "0004").iterdir()] == ["epoch-0001"]


def test_an_epoch_that_is_saved_counts_although_the_one_before_cannot_be_deleted(
    tmp_path: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = work(tmp_path, data)
    worker.next()
    real = shutil.rmtree

    def busy(path: Path, *, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise OSError(errno.ENOTEMPTY, "Directory not empty")

    monkeypatch.setattr(shutil, "rmtree", busy)
    assert worker.next()["epoch"] == 2
    monkeypatch.setattr(shutil, "rmtree", real)


def test_what_a_worker_left_that_was_killed_while_it_saved_goes_with_the_next_try(
    tmp_path: Path, data: fakes.FakeData
) -> None:
    (tmp_path / "trials" / "0004" / ".epoch-0001.0123abcd").mkdir(parents=True)
    work(tmp_path, data).next()
    assert [p.name for p in (tmp_path / "trials" / "0004").iterdir()] == ["epoch-0001"]


@pytest.mark.parametrize(("device", "given_back"), [("cpu", []), ("cuda", ["cuda"])])
def test_a_trial_on_a_gpu_begins_without_what_the_one_before_kept(
    tmp_path: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch, device: str, given_back: list[str]
) -> None:
    found: list[str] = []
    monkeypatch.setattr("ferhpo.training.guard.give_back", found.append)
    monkeypatch.setattr("ferhpo.data.cache.open_prepared", lambda _: data)
    monkeypatch.setattr("ferhpo.training.loop.train", lambda *_, **__: iter(()))
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    job = replace(fakes.job(tmp_path, data), device=device, threads=torch.get_num_threads())
    assert list(train_trial(TrialConfig(), job, None)) == []
    assert found == given_back


@pytest.mark.parametrize(("before", "after"), [(None, "3"), ("8", "8")])
def test_a_worker_compiles_with_its_own_threads_unless_the_user_says_otherwise(
    tmp_path: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
) -> None:
    name = "TORCHINDUCTOR_COMPILE_THREADS"
    monkeypatch.setenv(name, before or "")
    if before is None:
        monkeypatch.delenv(name)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr("ferhpo.data.cache.open_prepared", lambda _: data)
    monkeypatch.setattr("ferhpo.training.loop.train", lambda *_, **__: iter(()))
    list(train_trial(TrialConfig(), replace(fakes.job(tmp_path, data), threads=3), None))
    assert os.environ[name] == after


@pytest.mark.parametrize(
    ("name", "error"), [("accuracy", "accuracy must be a finite number, got nan in epoch 1"), ("nll", None)]
)
def test_a_figure_that_is_not_finite_is_named_where_it_counts_and_left_out_elsewhere(
    tmp_path: Path, data: fakes.FakeData, name: str, error: str | None
) -> None:
    figures = {"accuracy": 0.5, "nll": 1.0} | {name: float("nan")}

    def trainer(*_: object) -> Iterator[EpochResult]:
        yield EpochResult(epoch=1, figures=figures, seconds=0.5, done=False, save=lambda _: None)

    record = TrialWork(4, TrialConfig(epochs=3), 0, fakes.job(tmp_path, data), trainer).next()
    assert record.get("error") == error
    assert error or record["attrs"]["figures"] == {"accuracy": 0.5}
    assert error or record["history"]["lr"] is None  # no net was trained


def test_a_kill_while_an_epoch_is_written_leaves_the_epoch_before(tmp_path: Path, data: fakes.FakeData) -> None:
    def trainer(config: TrialConfig, job: Job, resume: Path | None) -> Iterator[EpochResult]:
        first, second, _ = fakes.trainer(config, job, resume)

        def dies(folder: Path) -> None:
            second.save(folder)
            raise KeyboardInterrupt

        yield first
        yield replace(second, save=dies)

    worker = TrialWork(4, TrialConfig(epochs=3), 0, fakes.job(tmp_path, data), trainer)
    worker.next()
    with pytest.raises(KeyboardInterrupt):
        worker.next()
    assert [p.name for p in (tmp_path / "trials" / "0004").iterdir()] == ["epoch-0001"]
