from typing import Any

import pytest
import torch
from torch import nn

from ferhpo.data.cache import Prepared
from ferhpo.models import registry
from ferhpo.models.registry import build
from ferhpo.space.config import TrialConfig
from ferhpo.training import losses, precision
from ferhpo.training.adversarial import of_training
from ferhpo.training.images import Preprocessing
from ferhpo.training.precision import Precision
from ferhpo.training.step import Step, for_timing


def make(config: TrialConfig) -> Step:
    torch.manual_seed(0)
    model = build(config, classes=3, channels=1).train()
    chosen = Precision(format=config.precision, channels_last=False)
    return Step(model, config, losses.build(config, torch.ones(3)), chosen, "cpu")


def batch(rows: int = 8, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(rows, 1, 8, 8, generator=generator), torch.eye(3)[torch.arange(rows) % 3]


@pytest.fixture
def config(tiny: TrialConfig) -> TrialConfig:
    return tiny.with_params({"ema": 0.9, "width": 4})


def test_updates_lower_the_loss_of_a_batch(config: TrialConfig) -> None:
    step = make(config)
    found = [float(step(*batch(), lr=0.05, t=t)) for t in range(8)]
    assert found[-1] < found[0]


def test_cudnn_looks_for_the_fastest_kernels_within_a_step_alone(config: TrialConfig) -> None:
    step, seen = make(config), []
    step.model.register_forward_hook(lambda *_: seen.append(torch.backends.cudnn.benchmark))
    step(*batch(), lr=0.05, t=0)
    assert seen == [True]
    assert not torch.backends.cudnn.benchmark


def test_the_moving_average_is_what_is_evaluated_where_there_is_one(config: TrialConfig) -> None:
    step, plain = make(config), make(config.with_params({"ema": 0.0}))
    assert plain.evaluated is plain.model
    step(*batch(), lr=0.05, t=0)
    average, last = step.evaluated.get_parameter("classifier.weight"), step.model.get_parameter("classifier.weight")
    assert not torch.equal(average, last)


@pytest.mark.parametrize("more", [{}, {"optimizer": "muon"}, {"optimizer": "adamw", "ema": 0.0}, {"precision": "fp16"}])
def test_a_step_that_is_loaded_goes_on_to_the_bit(config: TrialConfig, more: dict[str, Any]) -> None:
    step = make(config.with_params({**more, "lr": 0.01}))
    for t in range(3):
        step(*batch(seed=t), lr=0.01, t=t)
    other = make(config.with_params({**more, "lr": 0.01}))
    other.load({name: tensor.clone() for name, tensor in step.tensors().items()})
    for one in (step, other):
        one(*batch(seed=9), lr=0.01, t=3)
    assert all(torch.equal(a, b) for a, b in zip(step.tensors().values(), other.tensors().values(), strict=True))


def test_a_step_in_fp16_goes_on_from_one_in_another_format_with_a_new_scale(config: TrialConfig) -> None:
    before, after = make(config.with_params({"precision": "fp32"})), make(config.with_params({"precision": "fp16"}))
    after.load(before.tensors())
    assert after.tensors()["scaler/scale"] == 2.0**16
    assert all(torch.equal(w, after.tensors()[name]) for name, w in before.tensors().items())


def test_a_step_that_is_loaded_forgets_what_it_had(config: TrialConfig) -> None:
    step = make(config)
    fresh = {name: tensor.clone() for name, tensor in step.tensors().items()}
    first = step(*batch(), lr=0.01, t=0)
    after = {name: tensor.clone() for name, tensor in step.tensors().items()}
    step.load(fresh)
    assert step.tensors().keys() == fresh.keys() < after.keys()
    assert torch.equal(step(*batch(), lr=0.01, t=0), first)
    assert all(torch.equal(tensor, after[name]) for name, tensor in step.tensors().items())


def without_norms(config: TrialConfig) -> Step:
    step = make(config)
    for module in step.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return step


@pytest.mark.parametrize("rows", [8, 7])
def test_a_batch_in_parts_gives_the_same_update_but_for_batch_norm(config: TrialConfig, rows: int) -> None:
    whole, parted = without_norms(config), without_norms(config)
    assert torch.allclose(whole(*batch(rows), lr=0.05, t=0), parted(*batch(rows), lr=0.05, t=0, parts=2))
    weights = zip(whole.model.parameters(), parted.model.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in weights)


def test_attacked_parts_give_the_update_of_the_attacked_whole(config: TrialConfig) -> None:
    attacked = config.with_params({"adversarial": "fgsm", "adversarial_share": 1.0, "ema": 0.0})
    look = Preprocessing(stored_size=8, image_size=8, channels=1, mean=(0.5,), std=(0.3,), mirror=False)
    found = []
    for own, parts in ((attacked, 1), (attacked, 2), (config, 1)):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).train()
        chosen = Precision(format="fp32", channels_last=False)
        step = Step(model, own, losses.build(own, torch.ones(3)), chosen, "cpu", of_training(own, look))
        step(*batch(), lr=0.5, t=0, parts=parts)
        found.append(model.get_parameter("1.weight").detach())
        assert model.training
    assert torch.allclose(found[0], found[1], atol=1e-6)
    assert not torch.allclose(found[0], found[2], atol=1e-4)


def test_a_part_never_holds_a_single_image(config: TrialConfig) -> None:
    step, seen = make(config), []
    step.model.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    for rows in (8, 5, 3, 2):
        step(*batch(rows), lr=0.01, t=0, parts=2)
    assert seen == [4, 4, 3, 2, 3, 2]


@pytest.mark.parametrize("number", ["fp32", "fp16"])
def test_a_gradient_is_clipped_to_its_largest_norm(config: TrialConfig, number: str) -> None:
    config = config.with_params({"momentum": 0.0, "weight_decay": 0.0, "precision": number})
    plain, clipped = make(config), make(config.with_params({"clip": 0.01}))
    moved = []
    for step in (plain, clipped):
        before = [w.detach().clone() for w in step.model.parameters()]
        if number == "fp16":
            step.load({**step.tensors(), "scaler/scale": torch.tensor(256.0, dtype=torch.float64)})
        step(*batch(), lr=1.0, t=0)
        moved.append(torch.stack([(w - b).norm() for w, b in zip(step.model.parameters(), before, strict=True)]).norm())
    assert float(moved[0].detach()) > 0.02
    assert float(moved[1].detach()) == pytest.approx(0.01, rel=1e-2)


def test_with_fp16_a_gradient_that_overflows_is_left_out_and_the_scale_falls(config: TrialConfig) -> None:
    step = make(config.with_params({"precision": "fp16"}))
    tensors = step.tensors()
    step.load({**tensors, "scaler/scale": torch.tensor(1e30, dtype=torch.float64)})
    before = step.model.get_parameter("classifier.weight").detach().clone()
    assert torch.isfinite(step(*batch(), lr=0.1, t=0))
    assert torch.equal(step.model.get_parameter("classifier.weight"), before)
    assert 0 < float(step.tensors()["scaler/scale"]) < 1e30
    step.load({**step.tensors(), "scaler/scale": torch.tensor(256.0, dtype=torch.float64)})
    assert all(torch.isfinite(step(*batch(), lr=0.01, t=t)) for t in (1, 2, 3))


def test_a_gradient_is_gone_after_its_update(config: TrialConfig) -> None:
    step = make(config)
    step(*batch(), lr=0.05, t=0)
    assert all(weight.grad is None for weight in step.model.parameters())


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("clip", [0.0, 1000.0])
def test_with_fp16_an_update_that_broke_off_leaves_nothing_behind_in_the_next_one(
    config: TrialConfig, monkeypatch: pytest.MonkeyPatch, clip: float, optimizer: str
) -> None:
    def full() -> None:
        raise torch.OutOfMemoryError

    config = config.with_params({"precision": "fp16", "clip": clip, "optimizer": optimizer})
    step, plain = make(config), make(config)
    kept = {name: tensor.clone() for name, tensor in plain.tensors().items()}
    kept["scaler/scale"] = torch.tensor(256.0, dtype=torch.float64)
    for one in (step, plain):
        one.load(kept)
    with monkeypatch.context() as broken:
        broken.setattr(step._optimizer, "step", full)
        with pytest.raises(torch.OutOfMemoryError):
            step(*batch(), lr=0.05, t=0)
    step.load(kept)
    for one in (step, plain):
        one(*batch(), lr=0.05, t=0)
    assert not torch.equal(step.tensors()["model/classifier.weight"], kept["model/classifier.weight"])
    assert all(torch.equal(a, b) for a, b in zip(step.tensors().values(), plain.tensors().values(), strict=True))


@pytest.mark.parametrize("frozen", [True, False])
def test_what_is_timed_is_frozen_and_computed_as_in_the_training_without_its_weights_and_teacher(
    data: Prepared, monkeypatch: pytest.MonkeyPatch, frozen: bool
) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    chosen = Precision(format="fp32", channels_last=True)
    built: list[bool] = []
    froze: list[nn.Module] = []
    measured: list[TrialConfig] = []
    monkeypatch.setattr(registry, "build", lambda config, **_: built.append(config.pretrained) or net)
    monkeypatch.setattr(registry, "freeze", froze.append)
    monkeypatch.setattr(precision, "choose", lambda config, *_: measured.append(config) or chosen)
    config = TrialConfig(arch="timm:resnet18", pretrained=True, frozen=frozen, image_size=8, distill=0.5)
    step = for_timing(config, data, "cpu")
    assert (built, froze, measured) == ([False], [net] * frozen, [config])
    assert (step.model, step.precision) == (net, chosen)
    assert step(*batch(), lr=0.01, t=0) > 0
