import copy

import pytest
import torch
from torch import nn

from ferhpo.models.registry import build as build_model
from ferhpo.space.config import OPTIMIZERS, TrialConfig
from ferhpo.training import optim


def net(config: TrialConfig) -> nn.Module:
    torch.manual_seed(0)
    return build_model(config, classes=3, channels=1).to(memory_format=torch.channels_last).train()


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    torch.manual_seed(1)
    model(torch.rand(4, 1, 8, 8)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_spares_norms_and_biases(name: str) -> None:
    config = TrialConfig(optimizer=name, width=4, image_size=8, weight_decay=0.01)
    model = net(config)
    groups = optim.build(model, config).param_groups
    decay = {id(w): g["weight_decay"] for g in groups for w in g["params"]}
    assert {(w.ndim > 1, decay.pop(id(w))) for w in model.parameters()} == {(True, 0.01), (False, 0.0)}
    assert not decay


def test_sgd_is_nesterov_but_for_momentum_zero() -> None:
    config = TrialConfig(width=4, image_size=8)
    assert optim.build(net(config), config).param_groups[0]["nesterov"]
    still = config.with_params({"momentum": 0.0})
    assert not optim.build(net(still), still).param_groups[0]["nesterov"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_dumped_optimiser_goes_on_to_the_bit_and_keeps_the_memory_layout(name: str) -> None:
    config = TrialConfig(optimizer=name, width=4, image_size=8, lr=0.01, dropout=0.0)
    model = net(config)
    optimizer = optim.build(model, config)
    step(model, optimizer)
    other = copy.deepcopy(model)
    resumed = optim.build(other, config)
    optim.load(resumed, {n: t.contiguous().clone() for n, t in optim.dump(optimizer).items()})
    for group in resumed.param_groups:
        for weight in group["params"]:
            moments = [t for t in resumed.state[weight].values() if t.ndim]
            assert all(t.stride() == weight.stride() for t in moments)
    step(model, optimizer)
    step(other, resumed)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_the_learning_rate_is_set_for_every_group() -> None:
    config = TrialConfig(width=4, image_size=8)
    optimizer = optim.build(net(config), config)
    optim.set_lr(optimizer, 0.123)
    assert {g["lr"] for g in optimizer.param_groups} == {0.123}


def test_muon_takes_filters_but_for_depthwise_and_frozen_ones() -> None:
    model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Conv2d(6, 6, 3, groups=6), nn.Conv2d(6, 4, 1), nn.Linear(4, 3))
    model[2].requires_grad_(False)
    built = optim.build(model, TrialConfig(optimizer="muon", weight_decay=0.01))
    first, second, third = (g["params"] for g in built.param_groups)
    assert [w.shape for w in first] == [(6, 1, 3, 3)]
    assert [w.shape for w in second] == [(6, 1, 3, 3), (3, 4)]
    assert {w.ndim for w in third} == {1}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_kernels_are_fused_but_for_a_momentum_that_a_first_step_left_out_would_not_write(name: str) -> None:
    config = TrialConfig(optimizer=name, width=4, image_size=8)
    if name != "muon":
        fused, plain = (optim.build(net(config), config, d).defaults["fused"] for d in (torch.float32, torch.float16))
        # None lets torch take all weights at once on a GPU, False one by one
        assert (fused, plain) == (True, None if name == "sgd" else True)


@pytest.mark.parametrize(("fused", "place"), [(False, "cpu"), (True, "meta")])
def test_the_count_of_steps_goes_to_a_device_for_fused_kernels_alone(fused: bool, place: str) -> None:
    weight = torch.zeros(2, 3, device="meta", requires_grad=True)  # any device but the CPU
    optimizer = torch.optim.AdamW([weight])
    optimizer.param_groups[0]["fused"] = fused  # which torch refuses on such a device when it is made
    optim.load(optimizer, {"0/step": torch.tensor(3.0), "0/exp_avg": torch.zeros(2, 3)})
    state = optimizer.state[weight]
    assert (state["step"].device.type, state["exp_avg"].device.type) == (place, "meta")
