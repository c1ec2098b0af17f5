import dataclasses
from collections.abc import Callable
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ferhpo import _layout
from ferhpo.data.cache import Prepared
from ferhpo.errors import CheckpointError, ModelError, TrainingError, UsageError
from ferhpo.metrics import figures, metric
from ferhpo.space.config import TrialConfig
from ferhpo.training import loop, validation
from ferhpo.training.checkpoint import read, read_state
from ferhpo.training.guard import threads
from ferhpo.training.loop import train
from ferhpo.training.result import EpochResult

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


@pytest.mark.parametrize("more", [{}, {"optimizer": "muon", "lr": 0.005}, {"precision": "bf16"}])
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
        {"optimizer": "muon", "lr": 0.005, "precision": "bf16"},
        {"image_size": 16, "grow": 0.5, "schedule": "triangular"},
        {"precision": "fp16", "clip": 0.5},
        {"schedule": "plateau", "plateau_patience": 1, "ema": 0.0},
        {"schedule": "exponential", "decay": 0.3, "decay_after": 2},
        {"adversarial": "pgd", "adversarial_steps": 2, "precision": "bf16"},
        {"adversarial": "fgsm", "precision": "fp16", "ema": 0.0},
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
    monkeypatch.setattr(validation, "figures", lambda p, y: {**figures(p, y), "accuracy": next(left)})


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


@pytest.mark.parametrize("seconds", [None, 3.0])
def test_plateau_lowers_the_learning_rate_in_either_budget(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch, seconds: float | None
) -> None:
    scripted(monkeypatch, [0.3, 0.5, 0.4, 0.5] + [0.5] * 10_000)
    config = tiny.with_params({"schedule": "plateau", "plateau_patience": 2, "plateau_factor": 0.5, "epochs": 6})
    found = [r.lr for r in train(config, data, metric=ACCURACY, seconds=seconds)]
    assert found[:6] == [0.05 * share for share in (1, 1, 1, 1, 0.5, 0.5)]


def test_exponential_holds_the_peak_and_then_falls_by_its_rate_each_epoch(data: Prepared, tiny: TrialConfig) -> None:
    config = tiny.with_params({"schedule": "exponential", "decay": 0.1, "decay_after": 2, "epochs": 4})
    found = [r.lr for r in train(config, data, metric=ACCURACY)]
    assert found == [0.05, 0.05, 0.05 * exp(-0.1), 0.05 * exp(-0.2)]


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
    monkeypatch.setattr(validation, "figures", lambda p, y: {**figures(p, y), "nll": next(left)})
    *_, last = train(tiny.with_params({"patience": 5}), data, metric=metric("nll"))
    assert last.restored == 2


def test_patience_watches_the_loss_where_it_is_told_to_and_the_value_is_of_that_epoch(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = iter([(0.9, 0.5), (0.8, 0.4), (0.7, 0.6), (0.99, 0.7)])  # loss and accuracy
    said = lambda p, y: {**figures(p, y), **dict(zip(("nll", "accuracy"), next(seen), strict=True))}  # noqa: E731
    monkeypatch.setattr(validation, "figures", said)
    config = tiny.with_params({"patience": 1, "patience_metric": "nll", "epochs": 9})
    *_, last = train(config, data, metric=ACCURACY)
    assert (last.epoch, last.restored, last.figures["accuracy"]) == (4, 3, 0.6)


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


def test_weights_that_diverge_in_an_epochs_last_step_are_told_with_that_step(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_step = loop.Step.__call__

    def step(self: loop.Step, *args: Any, t: int, **more: Any) -> torch.Tensor:
        loss = run_step(self, *args, t=t, **more)
        if t == 3:
            torch.nn.init.constant_(self.model.get_parameter("classifier.bias"), float("nan"))
        return loss

    monkeypatch.setattr(loop.Step, "__call__", step)
    said = r"finite, got others after epoch 1, step 4, lr 0.05 \(last finite loss: \d.*\); set a lower lr"
    with pytest.raises(TrainingError, match=said):
        next(train(tiny.with_params({"schedule": "constant"}), data, metric=ACCURACY))


def test_a_resumed_run_takes_no_more_threads_than_before_and_says_where_it_had_fewer(
    data: Prepared, tiny: TrialConfig, tmp_path: Path
) -> None:
    def go_on(earlier: str, name: str, allotted: int) -> tuple[int, list[int]]:
        with threads(allotted):
            *_, last = run(tiny, data, tmp_path / name, resume=tmp_path / earlier)
            assert torch.get_num_threads() == allotted
        return last.details["threads"], last.details["threads_before"]

    for count in (1, 2):
        with threads(count):
            first = run(tiny, data, tmp_path / f"of{count}")[0]
        assert (first.details["threads"], first.details["threads_before"]) == (count, [])
    assert go_on("of1/1", "kept", 2) == (1, [])
    assert equal(tmp_path / "of1" / "3", tmp_path / "kept" / "3")
    assert go_on("of2/1", "fewer", 1) == (1, [2])
    assert go_on("fewer/2", "fewer still", 2) == (1, [2])
    with threads(2):  # nobody could repeat one that has a time
        timed = next(train(tiny, data, metric=metric("accuracy"), seconds=60, resume=tmp_path / "of1" / "1"))
    assert (timed.details["threads"], timed.details["threads_before"]) == (2, [1])


def test_settings_and_data_of_another_training_are_not_resumed(
    data: Prepared, tiny: TrialConfig, tmp_path: Path
) -> None:
    run(tiny, data, tmp_path)
    with pytest.raises(CheckpointError, match=r"differs in lr 0.05 there, 0.01 here"):
        next(train(tiny.with_params({"lr": 0.01}), data, metric=ACCURACY, resume=tmp_path / "1"))
    other = dataclasses.replace(data, fingerprint="0" * 64)
    with pytest.raises(CheckpointError, match="same images to go on from, it was made with others"):
        next(train(tiny, other, metric=ACCURACY, resume=tmp_path / "1"))
    with pytest.raises(CheckpointError, match=r"state.json cannot be read"):
        next(train(tiny, data, metric=ACCURACY, resume=tmp_path / "3"))


def teacher(data: Prepared) -> np.ndarray:
    """Say of every row, for sure, that it is of the class after its own."""
    labels = data.part("train").labels
    return np.eye(3, dtype=np.float32)[(labels + 1) % 3] * 0.97 + 0.01


def test_a_net_that_only_listens_to_its_teacher_learns_what_it_says(data: Prepared, tiny: TrialConfig) -> None:
    config = tiny.with_params({"epochs": 6, "batch_size": 8, "distill": 1.0})
    *_, last = train(config, data, metric=ACCURACY, teacher=teacher(data))
    assert last.figures["accuracy"] < 0.1


def test_a_distilled_run_resumes_to_the_bit_and_with_its_own_teacher_alone(
    data: Prepared, tiny: TrialConfig, tmp_path: Path
) -> None:
    config = tiny.with_params({**EVERYTHING, "distill": 0.5})
    soft = teacher(data)
    whole = run(config, data, tmp_path / "whole", teacher=soft)
    run(config, data, tmp_path / "rest", teacher=soft, resume=tmp_path / "whole" / "1")
    assert equal(tmp_path / "whole" / str(len(whole)), tmp_path / "rest" / str(len(whole)))
    with pytest.raises(CheckpointError, match="same soft labels to go on from"):
        next(train(config, data, metric=ACCURACY, teacher=soft[::-1].copy(), resume=tmp_path / "whole" / "1"))
    with pytest.raises(UsageError, match="distill needs a teacher"):
        next(train(config, data, metric=ACCURACY))


@pytest.mark.parametrize("size", [7, 13])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_another_size_and_colour_are_trained_on(
    make_data: Callable[..., Prepared], tiny: TrialConfig, channels: int, size: int
) -> None:
    data = make_data(size=size, channels=channels)
    result = next(train(tiny.with_params({"image_size": 12, "augment": 0.5}), data, metric=ACCURACY))
    assert np.isfinite(result.train_loss)


@pytest.mark.parametrize("seconds", [None, 2.0])
def test_training_images_grow_and_the_validation_has_its_full_size(
    data: Prepared, tiny: TrialConfig, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    run_step = loop.Step.__call__
    monkeypatch.setattr(
        loop.Step, "__call__", lambda self, x, *a, **k: seen.append(x.shape[-1]) or run_step(self, x, *a, **k)
    )
    config = tiny.with_params({"image_size": 24, "grow": 0.3, "width": 4, "epochs": 5})
    *_, last = train(config, data, metric=ACCURACY, seconds=seconds)
    assert last.done
    assert seen == sorted(seen)
    assert sorted(set(seen)) == [8, 16, 24]


def test_an_architecture_that_cannot_take_small_images_is_refused_before_training(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 15), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    monkeypatch.setattr(loop.registry, "build", lambda *_, **__: net)
    config = tiny.with_params({"image_size": 32, "grow": 0.5})
    assert next(train(config, data, metric=ACCURACY)).epoch == 1
    with pytest.raises(ModelError, match=r"resnet9s cannot take images of 8 px .* set another image_size or grow"):
        next(train(config.with_params({"grow": 0.25}), data, metric=ACCURACY))


def test_every_size_that_images_grow_through_is_tried_before_training(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(1, 3))
    net.register_forward_pre_hook(lambda _, args: args[0].view(0 if args[0].shape[-1] == 16 else args[0].shape))
    monkeypatch.setattr(loop.registry, "build", lambda *_, **__: net)
    with pytest.raises(ModelError, match=r"cannot take images of 16 px .* set another image_size or grow"):
        next(train(tiny.with_params({"image_size": 24, "grow": 0.25}), data, metric=ACCURACY))


class Narrow(torch.nn.Module):
    """Holds 8 images at most in a training step once it has made ``free`` steps; four are an epoch."""

    free = 5

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.conv = torch.nn.Conv2d(1, 6, 3)
        self.norm = torch.nn.BatchNorm2d(6)
        self.classifier = torch.nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.steps += self.training
        if self.training and len(x) > 8 and self.steps > self.free:
            msg = "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried to"
            raise RuntimeError(msg)
        return self.classifier(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


def test_where_memory_holds_half_a_batch_the_epoch_is_done_again_in_halves_and_resumes_so(
    data: Prepared, tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop.registry, "build", lambda *_, **__: Narrow())
    config = tiny.with_params({**EVERYTHING, "lr": 0.01})
    whole = run(config, data, tmp_path / "whole")
    assert [r.details["accumulate"] for r in whole] == [1, 2, 2, 2]
    assert [read(tmp_path / "whole" / e).card["accumulate"] for e in "1234"] == [1, 2, 2, 2]
    monkeypatch.setattr(Narrow, "free", 0)  # the second epoch fails at its first step, where it was the second
    for stop in (1, 2):
        rest = run(config, data, tmp_path / f"from{stop}", resume=tmp_path / "whole" / str(stop))
        assert [r.details["accumulate"] for r in rest] == [2] * (4 - stop)
        assert equal(tmp_path / "whole" / "4", tmp_path / f"from{stop}" / "4")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_trains_and_resumes(data: Prepared, tiny: TrialConfig, tmp_path: Path) -> None:
    config = tiny.with_params({**EVERYTHING, "precision": "auto"})
    run(config, data, tmp_path / "whole", device="cuda")
    rest = run(config, data, tmp_path / "rest", device="cuda", resume=tmp_path / "whole" / "1")
    assert rest[-1].done
