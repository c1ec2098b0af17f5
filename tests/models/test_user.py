"""A user's own architecture: found by its name, imported only where somebody trusts its module."""

import sys
from pathlib import Path

import pytest
import torch

from ferhpo.errors import ModelError, UsageError
from ferhpo.models import registry, user
from ferhpo.space.config import TrialConfig

MODULE = """
import torch
from torch import nn

def small(config, classes, channels):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * config.image_size**2, classes))

class Keeps(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv, self.linear, self.kept = nn.LazyConv2d(4, 3), nn.Linear(4, classes), None

    def forward(self, x):
        x = self.conv(x)
        if self.kept is None:
            self.kept = torch.ones(x.shape[2:])
        return self.linear((x * self.kept).mean((2, 3)))

def keeps(config, classes, channels):
    return Keeps(classes)

def fails(config, classes, channels):
    raise ValueError("no net today")

def text(config, classes, channels):
    return "a net"

def wide(config, classes, channels):
    return small(config, classes + 1, channels)

number = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a module on the path that nobody has imported or trusts."""
    (tmp_path / "own_nets.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_nets", raising=False)
    monkeypatch.setattr(user, "_TRUSTED", set())


def config(function: str) -> TrialConfig:
    return TrialConfig(arch=f"python:own_nets:{function}", image_size=8)


def test_a_module_that_nobody_named_is_not_imported() -> None:
    with pytest.raises(UsageError, match="set FERHPO_MODULES=own_nets"):
        registry.check("python:own_nets:small")
    assert "own_nets" not in sys.modules


def test_the_environment_an_import_or_a_search_makes_it_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERHPO_MODULES", "other, own_nets")
    registry.check("python:own_nets:small")
    monkeypatch.delenv("FERHPO_MODULES")
    registry.check("python:own_nets:small")  # it is imported now
    monkeypatch.delitem(sys.modules, "own_nets")
    user.trust("python:own_nets:small")
    assert registry.build(config("small"), classes=3, channels=1) is not None


@pytest.mark.parametrize("arch", ["python:own_nets", "python::small", "python:own nets:small", "python:own_nets:a.b"])
def test_another_form_is_refused(arch: str) -> None:
    with pytest.raises(UsageError, match="python:MODULE:FUNCTION"):
        registry.check(arch)


def test_the_main_module_is_refused_since_no_worker_has_it() -> None:
    with pytest.raises(UsageError, match="file of its own"):
        registry.check("python:__main__:small")


@pytest.mark.parametrize("function", ["nothing", "number"])
def test_what_is_no_function_of_it_is_refused(function: str) -> None:
    user.trust("python:own_nets:x")
    with pytest.raises(UsageError, match=f"own_nets has no {function}"):
        registry.check(f"python:own_nets:{function}")


def test_a_module_that_cannot_be_imported_is_a_sentence() -> None:
    user.trust("python:not_there:x")
    with pytest.raises(UsageError, match=r"not_there is not .*PYTHONPATH"):
        registry.check("python:not_there:x")


@pytest.mark.parametrize(
    ("function", "message"),
    [("fails", "ValueError: no net today"), ("text", "torch.nn.Module, got str"), ("wide", "3 logits an image")],
)
def test_what_makes_no_net_fails_with_a_sentence(function: str, message: str) -> None:
    user.trust("python:own_nets:x")
    with pytest.raises(ModelError, match=message):
        registry.build(config(function), classes=3, channels=1)


def test_lazy_layers_and_tensors_that_a_net_keeps_from_its_trial_serve_in_training() -> None:
    user.trust("python:own_nets:x")
    model = registry.build(config("keeps"), classes=3, channels=1).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model(torch.rand(2, 1, 8, 8)).sum().backward()
    before = model.get_parameter("conv.weight").detach().clone()
    optimizer.step()
    assert not torch.equal(model.get_parameter("conv.weight"), before)
