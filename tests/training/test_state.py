import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ferhpo import _layout
from ferhpo.data.cache import Prepared
from ferhpo.errors import CheckpointError
from ferhpo.metrics import metric
from ferhpo.models.registry import build
from ferhpo.space.config import SETTINGS, TrialConfig
from ferhpo.space.setting import Setting
from ferhpo.training import losses, precision, state
from ferhpo.training.loop import train
from ferhpo.training.precision import Precision
from ferhpo.training.schedule import Plateau
from ferhpo.training.state import Origin, Progress
from ferhpo.training.step import Step
from ferhpo.training.validation import Evaluated

LIVE = [setting for setting in SETTINGS.values() if setting.live]
NEEDS: dict[str, dict[str, Any]] = {
    "feature_dropout": {"head": 4},
    "focal_gamma": {"loss": "focal"},
    "adversarial_epsilon": {"adversarial": "fgsm"},
}
PRECISION = Precision(format="fp32", channels_last=True)


def step(config: TrialConfig) -> Step:
    model = build(config, classes=3, channels=1)
    return Step(model, config, losses.build(config, torch.ones(3)), PRECISION, "cpu")


def test_what_is_packed_is_unpacked_with_its_best_epoch(tiny: TrialConfig) -> None:
    one, other = step(tiny), step(tiny)
    best = Evaluated(
        epoch=2, weights=one.model.state_dict(), figures={"accuracy": 0.5}, probs=np.full((2, 3), 1 / 3, np.float32)
    )
    seen = Plateau(best=0.5, waited=1, drops=2)
    at = Progress(epoch=3, step=12, spent=1.5, idle=0.5, last_loss=0.7, waited=1, best=best, plateau=seen, parts=2)
    at.threads = [2, 1]
    packed = state.pack(Origin(config=tiny, data="f", teacher=None), PRECISION, one, at)
    found = state.unpack(packed, other)
    assert found.best is not None
    assert replace(found, best=None) == replace(at, best=None)
    assert (found.best.epoch, found.best.figures) == (2, {"accuracy": 0.5})
    assert found.best.weights.keys() == best.weights.keys()
    assert np.array_equal(found.best.probs, best.probs)
    assert all(torch.equal(a, b) for a, b in zip(one.tensors().values(), other.tensors().values(), strict=True))


def test_a_copied_state_stays_when_the_training_goes_on(tiny: TrialConfig) -> None:
    one = step(tiny)
    live = state.pack(Origin(config=tiny, data="f", teacher=None), PRECISION, one, Progress())
    kept = state.copied(live)
    one(torch.rand(4, 1, 8, 8), torch.eye(3)[[0, 1, 2, 0]], lr=0.1, t=0)
    name = "model/classifier.weight"
    assert not torch.equal(kept.tensors[name], live.tensors[name])


def test_every_field_of_progress_is_kept() -> None:
    assert {*state.SCALARS, "epoch", "best", "plateau"} == set(Progress.__dataclass_fields__)


def test_the_best_epoch_stands_by_itself_and_not_in_a_file_that_is_deleted_soon(tiny: TrialConfig) -> None:
    one = step(tiny)
    best = Evaluated(
        epoch=1, weights=one.model.state_dict(), figures={"accuracy": 0.5}, probs=np.full((2, 3), 1 / 3, np.float32)
    )
    packed = state.pack(Origin(config=tiny, data="f", teacher=None), PRECISION, one, Progress(epoch=2, best=best))
    found = state.unpack(packed, step(tiny)).best
    assert found is not None
    read = {tensor.data_ptr() for tensor in packed.tensors.values()}
    assert not read & {tensor.data_ptr() for tensor in found.weights.values()}
    assert found.probs.ctypes.data not in read


def test_how_a_training_computed_counts_on_a_device_of_the_same_kind_alone(tiny: TrialConfig) -> None:
    packed = state.pack(Origin(config=tiny, data="f", teacher=None), PRECISION, step(tiny), Progress())
    assert state.precision_before(packed, "cpu") == PRECISION
    assert state.precision_before(packed, "cuda:1") is None
    del packed.scalars["device"]  # as in a state that is older than the field
    assert state.precision_before(packed, "cuda") == PRECISION


@pytest.mark.parametrize(("device", "then"), [("cuda", "fp32"), ("cpu", "bf16")])
def test_a_training_that_began_on_another_device_goes_on_as_this_one_does_best(
    data: Prepared, tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, then: str
) -> None:
    bf16 = Precision(format="bf16", channels_last=True)
    monkeypatch.setattr(precision, "_KNOWN", {})
    monkeypatch.setattr(precision, "_short_format", lambda _: "bf16")
    monkeypatch.setattr(precision, "probe", lambda *_: bf16)
    config = tiny.with_params({"precision": "auto"})
    first = next(train(config, data, metric=metric("accuracy")))
    assert first.details["precision"] == "bf16 channels_last"
    first.save(tmp_path)
    kept = json.loads((tmp_path / _layout.STATE).read_text())
    kept["scalars"]["device"] = device
    (tmp_path / _layout.STATE).write_text(json.dumps(kept))
    monkeypatch.setattr(precision, "_KNOWN", {})
    monkeypatch.setattr(precision._kept, "remembered", lambda *_: PRECISION)
    second = next(train(config, data, metric=metric("accuracy"), resume=tmp_path))
    assert second.details["precision"] == f"{then} channels_last"


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("CUDA error: an illegal memory access")],
)
def test_a_device_that_fails_while_a_state_is_unpacked_is_no_fault_of_the_state(
    tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def failing(*_: object) -> None:
        raise error

    packed = state.pack(Origin(config=tiny, data="f", teacher=None), PRECISION, step(tiny), Progress())
    monkeypatch.setattr(Step, "load", failing)
    with pytest.raises(type(error), match="CUDA"):
        state.unpack_read(packed, step(tiny), Path("x"))


def test_a_training_goes_on_in_a_version_that_has_a_setting_more(
    data: Prepared, tiny: TrialConfig, tmp_path: Path
) -> None:
    next(train(tiny, data, metric=metric("accuracy"))).save(tmp_path)
    kept = json.loads((tmp_path / _layout.STATE).read_text())
    del kept["config"]["clip"]
    (tmp_path / _layout.STATE).write_text(json.dumps(kept))
    assert next(train(tiny, data, metric=metric("accuracy"), resume=tmp_path)).epoch == 2
    other = tiny.with_params({"clip": 3.5})
    with pytest.raises(CheckpointError, match=r"differs in clip .* there, 3.5 here"):
        next(train(other, data, metric=metric("accuracy"), resume=tmp_path))


def test_a_state_that_does_not_fit_is_refused_in_one_sentence(tiny: TrialConfig) -> None:
    packed = state.pack(Origin(config=tiny, data="f", teacher=None), PRECISION, step(tiny), Progress())
    with pytest.raises(CheckpointError, match=r"checkpoint x does not fit its own settings \(.*\); train again"):
        state.unpack_read(packed, step(tiny.with_params({"width": 4})), Path("x"))
    lacking = replace(packed, scalars={})
    with pytest.raises(CheckpointError, match="does not fit its own settings"):
        state.unpack_read(lacking, step(tiny), Path("x"))


def test_a_state_that_is_refused_without_a_word_is_told_by_the_errors_type(
    tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError

    packed = state.pack(Origin(config=tiny, data="f", teacher=None), PRECISION, step(tiny), Progress())
    monkeypatch.setattr(Step, "load", refuse)
    with pytest.raises(CheckpointError, match=r"does not fit its own settings \(ValueError\)"):
        state.unpack_read(packed, step(tiny), Path("x"))


@pytest.mark.parametrize("setting", LIVE, ids=lambda setting: setting.name)
def test_a_setting_that_may_change_on_the_way_leaves_a_training_that_goes_on(
    data: Prepared, tiny: TrialConfig, tmp_path: Path, setting: Setting
) -> None:
    config = tiny.with_params({"epochs": 2, **NEEDS.get(setting.name, {})})
    low, high = setting.choices[:2] or (setting.low, (setting.low or 0.0) + 0.01)
    for before, after in ((low, high), (high, low)):
        folder = tmp_path / str(before)
        folder.mkdir()
        first = next(train(config.with_params({setting.name: before}), data, metric=metric("accuracy")))
        first.save(folder)
        changed = config.with_params({setting.name: after})
        kept = json.loads((folder / _layout.STATE).read_text())
        (folder / _layout.STATE).write_text(json.dumps({**kept, "config": changed.params()}))
        (second,) = train(changed, data, metric=metric("accuracy"), resume=folder)
        assert (second.epoch, second.done) == (2, True)
