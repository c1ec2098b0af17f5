import pytest
import torch
from torch import nn

from ferhpo.training.ema import Ema


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)


def test_an_average_goes_by_its_warm_up_and_then_by_its_decay() -> None:
    model = net()
    ema = Ema(model, 0.5)
    want = model.get_parameter("0.weight").detach().clone()
    for t in range(20):
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(1)
        ema.update(t)
        keep = min(0.5, (1 + t) / (10 + t))
        want = keep * want + (1 - keep) * model.get_parameter("0.weight").detach()
    assert torch.allclose(ema.model.state_dict()["0.weight"], want, atol=1e-4)


def test_buffers_are_averaged_and_counters_copied() -> None:
    model = net()
    ema = Ema(model, 0.9)
    model.forward(torch.rand(8, 1, 5, 5))
    ema.update(0)
    state, followed = ema.model.state_dict(), model.state_dict()
    assert torch.allclose(state["1.running_mean"], 0.9 * followed["1.running_mean"])
    assert int(state["1.num_batches_tracked"]) == 1


def test_the_average_of_an_lstm_has_its_weights_in_one_piece_and_still_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    flat: list[nn.Module] = []
    monkeypatch.setattr(nn.LSTM, "flatten_parameters", lambda self: flat.append(self))
    model = nn.LSTM(2, 2)
    flat.clear()  # a fresh one does it itself
    ema = Ema(model, 0.5)
    assert flat == [ema.model]
    before = ema.model.state_dict()["weight_ih_l0"].clone()
    with torch.no_grad():
        model.get_parameter("weight_ih_l0").add_(1)
    ema.update(0)
    assert not torch.equal(ema.model.state_dict()["weight_ih_l0"], before)


def test_the_average_neither_trains_nor_shares_memory() -> None:
    model = net()
    ema = Ema(model, 0.9)
    assert not ema.model.training
    assert not any(w.requires_grad for w in ema.model.parameters())
    assert ema.model.state_dict()["0.weight"].data_ptr() != model.state_dict()["0.weight"].data_ptr()


def test_weights_that_stand_still_stay_to_the_bit() -> None:
    model = net()
    ema = Ema(model, 0.999)
    for t in range(5):
        ema.update(t)
    assert torch.equal(ema.model.state_dict()["0.weight"], model.state_dict()["0.weight"])


@pytest.mark.parametrize("decay", [0.1, 0.99999])
def test_the_first_update_takes_nine_tenths(decay: float) -> None:
    model = net()
    ema = Ema(model, decay)
    before = ema.model.state_dict()["0.bias"].clone()
    with torch.no_grad():
        model.state_dict()["0.bias"].add_(1)
    ema.update(0)
    assert torch.allclose(ema.model.state_dict()["0.bias"], before + 0.9)


def test_the_weights_that_a_training_begins_with_are_forgotten_at_once() -> None:
    model = net()
    with torch.no_grad():
        model.get_parameter("0.weight").fill_(1000.0)
    ema = Ema(model, 0.9999)
    with torch.no_grad():
        model.get_parameter("0.weight").fill_(1.0)
    found = []
    for t in range(10):
        ema.update(t)
        found.append(float(ema.model.state_dict()["0.weight"].max()) - 1)
    assert found[0] == pytest.approx(99.9, rel=1e-3)  # with the bare decay 998.9
    assert found[9] < 0.02


def test_a_weight_under_two_names_moves_once_an_update() -> None:
    linear = nn.Linear(2, 2)
    ema = Ema(nn.Sequential(linear, linear), 0.1)
    before = ema.model.state_dict()["1.bias"].clone()
    with torch.no_grad():
        linear.bias.add_(1)
    ema.update(0)
    assert torch.allclose(ema.model.state_dict()["1.bias"], before + 0.9)
