from typing import Any

import pytest
import torch
from torch import nn

from ferhpo.models import weights


class Versioned(nn.Linear):
    """A layer that loads nothing without its version, as torchvision's mnasnet."""

    _version = 2

    def _load_from_state_dict(self, *args: Any, **more: Any) -> None:
        if args[2].get("version") != 2:
            msg = f"version should be set to 2 instead of {args[2].get('version')}"
            raise ValueError(msg)
        super()._load_from_state_dict(*args, **more)


def test_a_layer_that_asks_for_its_version_is_loaded_from_bare_tensors() -> None:
    one, other = (nn.Sequential(Versioned(2, 3)) for _ in range(2))
    weights.load(other, {name: tensor.clone() for name, tensor in one.state_dict().items()})
    assert torch.equal(other.get_parameter("0.weight"), one.get_parameter("0.weight"))


def test_names_must_be_the_nets_unless_some_may_lack() -> None:
    model = nn.Linear(2, 3)
    given = {"bias": torch.ones(3)}
    with pytest.raises(RuntimeError, match="weight"):
        weights.load(model, given)
    weights.load(model, given, strict=False)
    assert torch.equal(model.bias, given["bias"])
