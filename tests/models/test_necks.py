"""Every neck maps a map to one of its shape; what each looks at."""

import copy

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ferhpo.models import necks
from ferhpo.models.necks import CBAM, RowLSTM, SelfAttention
from ferhpo.models.registry import build
from ferhpo.space.config import NECKS, TrialConfig
from ferhpo.training.precision import Precision, candidates


@pytest.mark.parametrize("name", NECKS)
@pytest.mark.parametrize("shape", [(2, 8, 6, 6), (1, 32, 3, 5), (2, 104, 1, 1)])
def test_a_neck_keeps_the_shape(name: str, shape: tuple[int, ...]) -> None:
    assert necks.build(name, shape[1]).eval()(torch.rand(shape)).shape == shape


def test_no_neck_is_the_identity() -> None:
    x = torch.rand(2, 3, 4, 4)
    assert torch.equal(necks.build("none", 3)(x), x)


def test_cbam_weighs_channels_and_places_and_turns_no_sign() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 32, 5, 5)
    gain = CBAM(32).eval()(x) / x
    assert bool(((gain > 0) & (gain < 1)).all())
    channels, places = gain[:, :, :1, :1], gain / gain[:, :, :1, :1]
    assert channels.std() > 0
    assert torch.allclose(places, places[:, :1].expand_as(places), atol=1e-4), "one factor a channel, one a place"


def test_cbam_has_the_papers_parameters() -> None:
    mlp = 64 * 4 + 4 + 4 * 64 + 64  # reduced by 16
    place = 2 * 7 * 7 + 2  # a 7x7 convolution of two maps, batch norm
    assert sum(w.numel() for w in CBAM(64).parameters()) == mlp + place


def test_self_attention_is_that_of_torch() -> None:
    torch.manual_seed(0)
    neck, x = SelfAttention(64).eval(), torch.rand(2, 64, 3, 3)
    nn.init.zeros_(neck.position.weight)
    nn.init.zeros_(neck.position.bias)  # pyright: ignore[reportArgumentType]
    theirs = nn.MultiheadAttention(64, 2, batch_first=True).eval()
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = neck.qkv.weight.data, neck.qkv.bias.data
    theirs.out_proj = neck.out  # pyright: ignore[reportAttributeAccessIssue]
    tokens = neck.norm(x.flatten(2).transpose(1, 2))
    want = x + theirs(tokens, tokens, tokens)[0].transpose(1, 2).view_as(x)
    assert torch.allclose(neck(x), want, atol=1e-5)


def test_self_attention_sees_the_whole_map_from_every_place() -> None:
    x = torch.rand(1, 8, 9, 9, requires_grad=True)
    SelfAttention(8)(x)[0, :, 0, 0].sum().backward()
    assert x.grad is not None
    assert bool((x.grad[0].abs().sum(0) > 0).all())


def test_on_a_gpu_an_lstm_reads_in_float32_whatever_autocast_says() -> None:
    seen = []

    def lstm(x: torch.Tensor) -> tuple[torch.Tensor, None]:
        seen.append((x.dtype, torch.is_autocast_enabled("cuda")))
        return x, None

    torch.set_autocast_enabled("cuda", True)  # as `torch.autocast` does not where there is no GPU
    try:
        with FakeTensorMode():
            necks.read(lstm, torch.empty(2, 3, 4, device="cuda", dtype=torch.bfloat16))  # pyright: ignore[reportArgumentType]
    finally:
        torch.set_autocast_enabled("cuda", False)
    assert seen == [(torch.float32, False)]


def test_the_lstm_reads_rows_in_order_and_no_order_within_a_row() -> None:
    torch.manual_seed(0)
    neck, x = RowLSTM(8).eval(), torch.rand(1, 8, 4, 4)
    assert torch.allclose(neck(x.flip(3)), neck(x), atol=1e-6)
    assert not torch.allclose(neck(x.flip(2)).flip(2), neck(x), atol=1e-3)


@pytest.mark.parametrize("name", NECKS)
def test_a_net_with_a_neck_learns_where_the_bright_row_is(name: str) -> None:
    torch.manual_seed(0)
    y = torch.arange(32) % 4
    x = torch.rand(32, 1, 16, 16) * 0.2
    for i, row in enumerate(y):
        x[i, :, 4 * row : 4 * row + 4] += 0.8
    config = TrialConfig(width=8, image_size=16, dropout=0, neck=name)
    model = build(config, classes=4, channels=1).train()
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    for _ in range(25):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert bool((model(x).argmax(1) == y).all())


@pytest.mark.parametrize("name", NECKS)
def test_a_neck_computes_in_bf16_and_is_copied_as_a_moving_average_is(name: str) -> None:
    if name == "lstm" and Precision(format="bf16", channels_last=True) not in candidates(nn.Identity(), "cpu"):
        pytest.skip("this CPU has no bf16, and torch emulates none for an LSTM")
    neck, x = copy.deepcopy(necks.build(name, 32)), torch.rand(2, 32, 4, 4).to(memory_format=torch.channels_last)
    neck.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        found = neck(x)
    assert bool(found.isfinite().all())
    assert torch.allclose(found.float(), neck(x), atol=0.1)
