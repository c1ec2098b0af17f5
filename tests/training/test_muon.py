import copy

import pytest
import torch
from torch import nn

from ferhpo.training.muon import RMS, Muon, orthogonal


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (16, 16), (1, 9)])
def test_singular_values_end_near_one_and_singular_vectors_stay(shape: tuple[int, int], dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(shape, generator=generator)
    found = orthogonal(matrix, dtype).float()
    assert found.shape == shape
    values = torch.linalg.svdvals(found)
    assert 0.3 < float(values.min()) <= float(values.max()) < 1.3
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    turned = u.T @ found @ v.T
    assert float((turned - turned.diag().diag()).abs().max()) < 0.05


@pytest.mark.parametrize("scale", [1e-20, 1e10])
def test_scale_does_not_matter(scale: float) -> None:
    matrix = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    for dtype, most in ((torch.float32, 1e-4), (torch.float16, 0.05)):
        assert torch.allclose(orthogonal(matrix * scale, dtype).float(), orthogonal(matrix), atol=most)


def test_zeros_stay_zeros() -> None:
    assert not orthogonal(torch.zeros(3, 5)).any()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(2, 6, 3, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x))


def optimizer(net: Net, weight_decay: float = 0.0) -> Muon:
    groups = [{"params": list(net.norm.parameters()), "weight_decay": 0.0}]
    return Muon([net.conv.weight], groups, 0.01, momentum=0.9, weight_decay=weight_decay)


def backward(model: nn.Module, scale: float = 1.0) -> None:
    (scale * model(torch.rand(4, 2, 5, 5, generator=torch.Generator().manual_seed(1))).pow(3).sum()).backward()


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_an_update_of_a_filter_has_the_size_of_adamws_whatever_the_gradient(scale: float) -> None:
    model = Net()
    before = model.conv.weight.detach().clone()
    backward(model, scale)
    optimizer(model).step()
    rms = float((model.conv.weight.detach() - before).square().mean().sqrt())
    assert rms == pytest.approx(0.01 * RMS, rel=0.3)


def test_what_is_no_filter_moves_as_adamw_moves_it() -> None:
    model = Net()
    other = copy.deepcopy(model)
    adamw = torch.optim.AdamW(other.norm.parameters(), 0.01, weight_decay=0.0, fused=True)
    muon = optimizer(model)
    for _ in range(3):
        for one in (model, other):
            one.zero_grad()
        with torch.no_grad():
            other.conv.weight.copy_(model.conv.weight)
        backward(model)
        backward(other)
        muon.step()
        adamw.step()
    assert torch.equal(model.norm.weight, other.norm.weight)


def test_weight_decay_of_a_filter_is_decoupled() -> None:
    plain, decayed = Net(), Net()
    before = plain.conv.weight.detach().clone()
    for model, decay in ((plain, 0.0), (decayed, 0.5)):
        backward(model)
        optimizer(model, weight_decay=decay).step()
    assert torch.allclose(plain.conv.weight - decayed.conv.weight, 0.01 * 0.5 * before, atol=1e-7)


def test_a_weight_without_gradient_stays() -> None:
    model = Net()
    before = copy.deepcopy(model.state_dict())
    optimizer(model).step()
    assert all(torch.equal(w, before[n]) for n, w in model.state_dict().items())


def test_either_kind_of_weight_may_be_missing() -> None:
    model = Net()
    backward(model)
    Muon([model.conv.weight], [], 0.1, momentum=0.9, weight_decay=0.0).step()
    Muon([], [{"params": [model.norm.weight]}], 0.1, momentum=0.9, weight_decay=0.0).step()
