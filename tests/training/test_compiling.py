import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ferhpo.data.cache import Prepared
from ferhpo.metrics import metric
from ferhpo.models.registry import build
from ferhpo.space.config import TrialConfig
from ferhpo.training import compiling as module
from ferhpo.training import loop, losses
from ferhpo.training.compiling import Compiled, Passes, choose, kind, make, pays
from ferhpo.training.loop import train
from ferhpo.training.precision import Precision
from ferhpo.training.step import Step

PRECISION = Precision(format="fp32", channels_last=True)
SHAPE = (8, 1, 8, 8)
CONFIG = TrialConfig(width=4, image_size=8, ema=0.0, dropout=0.0)
seconds = st.floats(1e-4, 10)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_LAST", {})
    monkeypatch.setattr(module, "_VAIN", set())
    yield
    torch.compiler.reset()


def net() -> nn.Module:
    torch.manual_seed(0)
    return build(CONFIG, classes=3, channels=1).to(memory_format=torch.channels_last)


def passes_of(model: nn.Module, device: str = "cpu") -> Passes:
    return Passes(model=model, precision=PRECISION, shape=SHAPE, device=device)


@given(seconds, seconds, st.integers(0, 10**6), seconds)
def test_more_steps_and_a_lower_cost_never_speak_against_compiling(
    full: float, half: float, steps: int, cost: float
) -> None:
    if pays(full=full, half=half, steps=steps, cost=cost):
        assert pays(full=full, half=half, steps=2 * steps, cost=cost / 2)


@pytest.mark.parametrize(
    ("full", "half", "steps", "cost", "worth"),
    [
        (0.004, 0.004, 100_000, 60, True),  # 4 ms of launching a step: 400 s to save
        (0.004, 0.004, 10_000, 60, False),  # 40 s
        (0.004, 0.004, 10_000, 15, True),
        (0.040, 0.020, 10**6, 60, False),  # twice the rows take twice the time: nothing waits
        (0.040, 0.015, 10**6, 60, False),
        (0.004, 0.004, 1, 0, True),  # compiled already
        (0.004, 0.004, 0, 0, False),
    ],
)
def test_compiling_must_give_back_more_than_it_takes(
    full: float, half: float, steps: int, cost: float, worth: bool
) -> None:
    assert pays(full=full, half=half, steps=steps, cost=cost) == worth


def test_nothing_is_compiled_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Passes, "seconds", None)
    assert choose(passes_of(net()), "net", lambda _: 10**9) is None


def test_a_net_that_cannot_be_compiled_runs_without(monkeypatch: pytest.MonkeyPatch) -> None:
    model = net()
    before = copy.deepcopy(model.state_dict())

    def broken(x: torch.Tensor) -> None:
        model(x)
        msg = "no compiler"
        raise RuntimeError(msg)

    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)
    assert make(passes_of(model), "net", 1.0) is None
    assert all(torch.equal(w, before[n]) for n, w in model.state_dict().items())


def test_a_net_that_is_no_faster_compiled_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    assert make(passes_of(net()), "net", 0.0) is None
    assert make(passes_of(net()), "net", 1e9) is not None


def test_a_net_that_gained_nothing_gives_its_memory_back_and_is_not_compiled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resets = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: resets.append(1))
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    assert make(passes_of(net()), f"net {PRECISION} {SHAPE}", 0.0) is None
    assert (len(resets), module._LAST) == (2, {})  # before it, for the last one's memory, and after it
    monkeypatch.setattr(Passes, "seconds", None)
    assert choose(passes_of(net(), "cuda"), "net", lambda _: 10**9) is None


@pytest.mark.parametrize(("dropout", "kept"), [(0.0, False), (0.5, True)])  # what drops at random cannot be compared
def test_a_net_that_computes_something_else_compiled_runs_as_it_is(
    monkeypatch: pytest.MonkeyPatch, dropout: float, kept: bool
) -> None:
    monkeypatch.setattr(torch, "compile", lambda model, **_: lambda x: 1.5 * model(x))
    model = build(CONFIG.with_params({"dropout": dropout}), classes=3, channels=1)
    assert (make(passes_of(model), "net", 1e9) is not None) == kept


def test_half_a_batch_is_timed_only_where_a_whole_one_leaves_enough_to_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(Passes, "seconds", lambda passes, _: asked.append(passes.shape[0]) or 0.01)
    for steps in (10, 10**6):  # a gain of 0.1 s at most, of 10000 s at most
        monkeypatch.setattr(module, "make", lambda *_: None)
        assert choose(passes_of(net(), "cuda"), "net", lambda _, steps=steps: steps) is None
    assert asked == [8, 8, 4]


def test_what_an_earlier_trial_left_compiled_is_let_go_of_and_what_failed_is_not_compiled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resets = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: resets.append(1))
    module.let_go("cpu")
    assert resets == []  # which would load the compiler
    for end, vain in ((module.let_go, []), (module.give_up, ["net"])):
        module._LAST["net"] = 40.0
        end("cpu")
        assert module._LAST == {}
        assert sorted(module._VAIN) == vain
    assert resets == [1, 1]


def test_nets_that_drop_another_share_are_of_another_kind() -> None:
    shares = [{name: share} for name in ("dropout", "feature_dropout") for share in (0.1, 0.2)]
    assert len({kind(CONFIG.with_params({"head": 4, **share}), 3) for share in shares}) == 4
    assert kind(CONFIG, 3) == kind(CONFIG.with_params({"lr": 0.5}), 3) != kind(CONFIG, 4)


@pytest.mark.slow  # torch.compile loads
@pytest.mark.filterwarnings("default")  # of its libraries
@pytest.mark.parametrize("name", ["dropout", "feature_dropout"])
def test_a_compiled_net_holds_the_share_that_it_drops(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    graphs = []
    monkeypatch.setattr(module, "OPTIONS", {"backend": lambda graph, _: graphs.append(1) or graph})
    for share in (0.1, 0.2, 0.2):
        model = build(CONFIG.with_params({"head": 4, name: share}), classes=3, channels=1)
        assert make(passes_of(model), "net", 1e9) is not None
    assert len(graphs) == 2


def test_trying_leaves_the_net_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    model = net()
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(1)
    want = torch.rand(1)
    torch.manual_seed(1)
    make(passes_of(model), "net", 1e9)
    assert all(torch.equal(w, before[n]) for n, w in model.state_dict().items())
    assert all(w.grad is None for w in model.parameters())
    assert torch.equal(torch.rand(1), want)


def test_a_batch_of_another_shape_runs_as_it_is() -> None:
    one = Compiled(net=nn.Identity(), fast=lambda x: -x, shape=(2, 1), seconds=40.4, gain=2.06)
    assert torch.equal(one(torch.ones(2, 1)), -torch.ones(2, 1))
    assert torch.equal(one(torch.ones(3, 1)), torch.ones(3, 1))
    assert str(one) == "2.1 times as fast after 40 s"


@pytest.mark.slow  # torch.compile loads
@pytest.mark.filterwarnings("default")  # of its libraries
def test_a_compiled_net_trains_as_it_does_uncompiled_and_the_next_of_its_kind_is_not_compiled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graphs = []

    def backend(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    monkeypatch.setattr(module, "OPTIONS", {"backend": backend})
    steps = []
    for _ in range(2):
        model = net()
        fast = make(passes_of(model), "net", 1e9)
        assert fast is not None
        step = Step(model, CONFIG, losses.build(CONFIG, torch.ones(3)), PRECISION, "cpu")
        step.forward = fast
        steps.append(step)
    assert len(graphs) == 1
    eager = net()
    steps.append(Step(eager.train(), CONFIG, losses.build(CONFIG, torch.ones(3)), PRECISION, "cpu"))
    x, y = torch.rand(SHAPE), torch.eye(3)[torch.arange(8) % 3]
    found = [[float(step(a, b, lr=0.05, t=0)) for a, b in ((x, y), (x[:5], y[:5]), (x, y))] for step in steps]
    assert found[0] == found[1] == pytest.approx(found[2], rel=1e-4)


# --- in a training


def test_a_net_of_one_image_size_may_run_compiled_and_the_result_says_so(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, ...]] = []

    def choose(passes: Passes, *_: Any) -> Compiled:
        asked.append(passes.shape)
        net = passes.model
        return Compiled(net=net, fast=lambda x: seen.append(len(x)) or net(x), shape=passes.shape, seconds=1, gain=2)

    seen: list[int] = []
    monkeypatch.setattr(loop.compiling, "choose", choose)
    result = next(train(tiny, data, metric=metric("accuracy")))
    assert result.details["compiled"] == "2.0 times as fast after 1 s"
    assert (asked, seen) == ([(16, 1, 8, 8)], [16, 16, 16])
    result = next(train(tiny.with_params({"image_size": 16, "grow": 0.5}), data, metric=metric("accuracy")))
    assert (len(asked), result.details["compiled"]) == (1, None)


def test_a_compiled_net_is_let_go_of_where_memory_holds_half_a_batch(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: torch.Tensor) -> torch.Tensor:
        msg = "FIND was unable to find an engine to execute this computation"  # as where cuDNN lacks memory
        raise RuntimeError(msg)

    forgotten: list[str] = []
    monkeypatch.setattr(loop.compiling, "choose", lambda passes, *_: compiled(passes.model, full))
    monkeypatch.setattr(loop.compiling, "forget", forgotten.append)
    result = next(train(tiny, data, metric=metric("accuracy")))
    assert (result.details["accumulate"], result.details["compiled"], forgotten) == (2, None, ["cpu"])


def test_a_compiled_net_that_fails_in_the_training_is_replaced_by_the_net_as_it_is(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: torch.Tensor) -> torch.Tensor:
        msg = "assert_size_stride"
        raise AssertionError(msg)

    given_up: list[str] = []
    monkeypatch.setattr(loop.compiling, "choose", lambda passes, *_: compiled(passes.model, failing))
    monkeypatch.setattr(loop.compiling, "give_up", given_up.append)
    result = next(train(tiny, data, metric=metric("accuracy")))
    assert (result.details["accumulate"], result.details["compiled"], given_up) == (1, None, ["cpu"])
    monkeypatch.setattr(loop.compiling, "choose", lambda *_: None)
    assert result.figures == next(train(tiny, data, metric=metric("accuracy"))).figures


def test_a_lost_device_is_not_blamed_on_the_compiled_net(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_: torch.Tensor) -> torch.Tensor:
        msg = "CUDA error: an illegal memory access was encountered"
        raise RuntimeError(msg)

    monkeypatch.setattr(loop.compiling, "choose", lambda passes, *_: compiled(passes.model, lost))
    with pytest.raises(RuntimeError, match="CUDA error"):
        next(train(tiny, data, metric=metric("accuracy")))


def test_a_trial_that_runs_uncompiled_keeps_no_graphs_of_an_earlier_one(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[str] = []
    monkeypatch.setattr(module, "forget", forgotten.append)
    monkeypatch.setattr(module, "_LAST", {"net": 40.0})
    for config in (tiny, tiny.with_params({"image_size": 16, "grow": 0.5})):
        next(train(config, data, metric=metric("accuracy")))
    assert forgotten == ["cpu", "cpu"]


def test_the_peak_of_memory_begins_before_graphs_are_recorded(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def choose(*_: Any) -> None:
        order.append("compile")
        raise KeyboardInterrupt

    run = loop._Run(tiny, data, metric("accuracy"), "cpu", None, {}, None)
    run.device = "cuda"  # from here on
    monkeypatch.setattr(loop.cost, "forget_peak", order.append)
    monkeypatch.setattr(loop.compiling, "choose", choose)
    with pytest.raises(KeyboardInterrupt):
        next(run.epochs(None))
    assert order == ["cuda", "compile"]


def compiled(net: nn.Module, fast: Any) -> Compiled:
    return Compiled(net=net, fast=fast, shape=(16, 1, 8, 8), seconds=1, gain=2)
