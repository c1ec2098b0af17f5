import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ferhpo import _layout
from ferhpo.data.cache import Prepared
from ferhpo.errors import CheckpointError, DataError, TrainingError
from ferhpo.metrics import figures, metric
from ferhpo.space.config import TrialConfig
from ferhpo.training import loop
from ferhpo.training.checkpoint import read, read_state
from ferhpo.training.loop import EpochResult, train

ACCURACY = metric("accuracy")
EVERYTHING = {"dropout": 0.3, "augment": 0.5, "mixup": 0.4, "ema": 0.9, "patience": 2, "epochs": 4}


def saved(result: EpochResult, folder: Path) -> Path:
    folder.mkdir(parents=True)
    result.save(folder)
    return folder


def run(config: TrialConfig, data: Prepared, folder: Path, **more: Any) -> list[EpochResult]:
    results = []
    for result in train(config, data, metric=ACCURACY, **more):
        saved(result, folder / str(result.epoch))
        results.append(result)
    return results


def tensors(folder: Path, name: str = _layout.WEIGHTS) -> dict[str, torch.Tensor]:
    return load_file(folder / name)


def equal(a: Path, b: Path) -> bool:
    names = {p.name for p in a.iterdir()} & {_layout.WEIGHTS, _layout.STATE_TENSORS}
    assert names == {p.name for p in b.iterdir()} & {_layout.WEIGHTS, _layout.STATE_TENSORS}
    pairs = [(tensors(a, name), tensors(b, name)) for name in names]
    same = all(x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x) for x, y in pairs)
    return same and np.array_equal(np.load(a / _layout.PROBABILITIES), np.load(b / _layout.PROBABILITIES))


def test_a_tiny_net_learns_classes_that_can_be_told_apart(data: Prepared, tiny: TrialConfig) -> None:
    *_, last = train(tiny.with_params({"epochs": 6, "batch_size": 8}), data, metric=ACCURACY)
    assert last.figures["accuracy"] > 0.9
    assert last.done


def test_one_result_an_epoch_and_only_the_last_is_done(data: Prepared, tiny: TrialConfig, tmp_path: Path) -> None:
    results = run(tiny, data, tmp_path / "run")
    assert [r.epoch for r in results] == [1, 2, 3]
    assert [r.done for r in results] == [False, False, True]
    assert [(tmp_path / "run" / str(e) / _layout.STATE).exists() for e in (1, 2, 3)] == [True, True, False]
    assert results[-1].lr < 0.1 * tiny.lr
    assert results[0].images_per_second > 0
    assert {"parameters", "precision", "device", "threads", "torch", "batch_size"} <= results[0].details.keys()


@pytest.mark.parametrize("more", [{}, {"optimizer": "adamw", "lr": 0.005}, {"precision": "bf16"}])
def test_the_same_seed_gives_the_same_to_the_bit_and_another_does_not(
    data: Prepared, tiny: TrialConfig, tmp_path: Path, more: dict[str, Any]
) -> None:
    config = tiny.with_params({**EVERYTHING, **more, "epochs": 2})
    for name in "ab":
        torch.manual_seed(hash(name))
        run(config, data, tmp_path / name)
    run(config.with_params({"seed": 1}), data, tmp_path / "c")
    assert equal(tmp_path / "a" / "2", tmp_path / "b" / "2")
    assert not equal(tmp_path / "a" / "2", tmp_path / "c" / "2")


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"optimizer": "adamw", "lr": 0.005},
        {"optimizer": "adam", "lr": 0.005, "ema": 0.0},
        {"momentum": 0.0, "schedule": "cosine"},
        {"precision": "bf16"},
    ],
)
def test_a_run_stopped_after_any_epoch_and_resumed_equals_the_uninterrupted_one(
    data: Prepared, tiny: TrialConfig, tmp_path: Path, more: dict[str, Any]
) -> None:
    config = tiny.with_params({**EVERYTHING, **more, "patience": 9})
    whole = run(config, data, tmp_path / "whole")
    for stop in (1, 3):
        rest = run(config, data, tmp_path / f"from{stop}", resume=tmp_path / "whole" / str(stop))
        assert [r.epoch for r in rest] == list(range(stop + 1, 5))
        for a, b in zip(whole[stop:], rest, strict=True):
            assert (a.figures, a.lr, a.train_loss, a.restored) == (b.figures, b.lr, b.train_loss, b.restored)
            assert equal(tmp_path / "whole" / str(a.epoch), tmp_path / f"from{stop}" / str(a.epoch))


def scripted(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Let validation accuracy be what a list says, one an epoch."""
    left = iter(values)
    monkeypatch.setattr(loop, "figures", lambda p, y: {**figures(p, y), "accuracy": next(left)})


def test_patience_stops_and_restores_the_best_epochs_weights_figures_and_probabilities(
    data: Prepared, tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, [0.3, 0.8, 0.5, 0.8, 0.9])
    results = run(tiny.with_params({"patience": 2, "epochs": 9, "ema": 0.9}), data, tmp_path)
    assert [(r.epoch, r.done, r.restored) for r in results] == [
        (1, False, None),
        (2, False, None),
        (3, False, None),
        (4, True, 2),
    ]
    assert results[-1].figures == results[1].figures
    assert all(torch.equal(w, tensors(tmp_path / "2")[n]) for n, w in tensors(tmp_path / "4").items())
    probs = [np.load(tmp_path / e / _layout.PROBABILITIES) for e in "24"]
    assert np.array_equal(*probs)
    assert read(tmp_path / "4").card["epoch"] == 2


def test_patience_restores_the_best_at_the_end_of_the_budget_too(
    data: Prepared, tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, [0.3, 0.8, 0.5])
    results = run(tiny.with_params({"patience": 5}), data, tmp_path)
    assert [(r.done, r.restored) for r in results] == [(False, None), (False, None), (True, 2)]
    assert results[-1].figures["accuracy"] == 0.8


def test_the_running_best_and_the_wait_survive_a_resume(
    data: Prepared, tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny.with_params({"patience": 3, "epochs": 9})
    scripted(monkeypatch, [0.8, 0.5, 0.6, 0.7])
    run(config, data, tmp_path / "whole")
    scripted(monkeypatch, [0.6, 0.7])
    rest = run(config, data, tmp_path / "rest", resume=tmp_path / "whole" / "2")
    assert [(r.epoch, r.done, r.restored) for r in rest] == [(3, False, None), (4, True, 1)]
    assert equal(tmp_path / "whole" / "4", tmp_path / "rest" / "4")


def test_for_a_metric_that_is_minimised_less_is_better(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([0.5, 0.2, 0.4])
    monkeypatch.setattr(loop, "figures", lambda p, y: {**figures(p, y), "nll": next(left)})
    *_, last = train(tiny.with_params({"patience": 5}), data, metric=metric("nll"))
    assert last.restored == 2


def test_figures_probabilities_and_weights_are_of_the_same_epoch(
    data: Prepared, tiny: TrialConfig, tmp_path: Path
) -> None:
    config = tiny.with_params({"ema": 0.9, "augment": 0.3})
    results = run(config, data, tmp_path)
    for result in results:
        folder = tmp_path / str(result.epoch)
        probs = np.load(folder / _layout.PROBABILITIES)
        assert probs.dtype == np.float32
        assert (
            result.figures == figures(probs.astype(np.float64), data.part("val").labels) == read(folder).card["figures"]
        )
    state = read_state(tmp_path / "2")
    weights = tensors(tmp_path / "2")
    assert torch.equal(weights["classifier.weight"], state.tensors["ema/classifier.weight"])
    assert not torch.equal(weights["classifier.weight"], state.tensors["model/classifier.weight"])


def test_an_epoch_is_saved_before_the_next_or_not_at_all(data: Prepared, tiny: TrialConfig, tmp_path: Path) -> None:
    results = train(tiny, data, metric=ACCURACY)
    first = next(results)
    next(results)
    with pytest.raises(RuntimeError, match="epoch 1 must be saved before"):
        first.save(tmp_path)


def test_a_loss_that_is_not_finite_ends_the_training_at_once(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = loop.losses.build
    scale = iter([1.0] * 6 + [float("inf")])
    monkeypatch.setattr(loop.losses, "build", lambda *a: lambda x, t: make(*a)(x, t) * next(scale))
    results = train(tiny.with_params({"schedule": "constant"}), data, metric=ACCURACY)
    next(results)
    with pytest.raises(TrainingError, match=r"finite, got inf at epoch 2, step 3, lr 0.05 \(last finite loss: \d"):
        next(results)


def test_settings_and_data_of_another_training_are_not_resumed(
    data: Prepared, tiny: TrialConfig, tmp_path: Path
) -> None:
    run(tiny, data, tmp_path)
    with pytest.raises(CheckpointError, match=r"differs in lr 0.05 there, 0.01 here"):
        next(train(tiny.with_params({"lr": 0.01}), data, metric=ACCURACY, resume=tmp_path / "1"))
    other = dataclasses.replace(data, fingerprint="0" * 64)
    with pytest.raises(CheckpointError, match="made with other images"):
        next(train(tiny, other, metric=ACCURACY, resume=tmp_path / "1"))
    with pytest.raises(CheckpointError, match=r"state.json cannot be read"):
        next(train(tiny, data, metric=ACCURACY, resume=tmp_path / "3"))


def test_a_training_without_validation_rows_is_refused(make_data: Callable[..., Prepared], tiny: TrialConfig) -> None:
    with pytest.raises(DataError, match="at least 1 validation image"):
        next(train(tiny, make_data(val=0), metric=ACCURACY))


@pytest.mark.parametrize("size", [7, 13])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_another_size_and_colour_are_trained_on(
    make_data: Callable[..., Prepared], tiny: TrialConfig, channels: int, size: int
) -> None:
    data = make_data(size=size, channels=channels)
    result = next(train(tiny.with_params({"image_size": 12, "augment": 0.5}), data, metric=ACCURACY))
    assert np.isfinite(result.train_loss)


def test_a_time_budget_is_kept_and_the_learning_rate_ends_inside_it(data: Prepared, tiny: TrialConfig) -> None:
    start = time.perf_counter()
    results = list(train(tiny, data, metric=ACCURACY, seconds=1.5))
    assert time.perf_counter() - start < 1.5 + 1.0  # building the net comes before the first step
    assert sum(r.seconds for r in results) <= 1.5 * 1.1  # a busy machine may stretch one step
    assert sum(r.seconds for r in results) > 0.4
    assert len(results) > tiny.epochs
    assert results[-1].lr < 0.3 * tiny.lr
    assert [r.done for r in results] == [False] * (len(results) - 1) + [True]


def test_a_time_budget_below_a_validation_is_refused(data: Prepared, tiny: TrialConfig) -> None:
    with pytest.raises(TrainingError, match="a time budget must hold more than a validation"):
        next(train(tiny, data, metric=ACCURACY, seconds=1e-4))


def test_memory_that_does_not_suffice_is_said_with_what_to_do(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(loop.optim, "set_lr", full)
    with pytest.raises(TrainingError, match="16 images did not; set a smaller batch_size"):
        next(train(tiny, data, metric=ACCURACY))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_trains_and_resumes(data: Prepared, tiny: TrialConfig, tmp_path: Path) -> None:
    config = tiny.with_params({**EVERYTHING, "precision": "auto"})
    run(config, data, tmp_path / "whole", device="cuda")
    rest = run(config, data, tmp_path / "rest", device="cuda", resume=tmp_path / "whole" / "1")
    assert rest[-1].done
