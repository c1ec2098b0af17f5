import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ferhpo.models.registry import build
from ferhpo.space.config import TrialConfig
from ferhpo.training import precision
from ferhpo.training.precision import Precision, choose, goes_on, probe

CONFIG = TrialConfig(width=4, image_size=8)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_KNOWN", {})


@pytest.fixture
def _bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_short_format", lambda _: "bf16")


def net() -> nn.Module:
    return build(CONFIG, classes=3, channels=1)


def test_a_configured_format_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "probe", None)
    chosen = choose(CONFIG.with_params({"precision": "bf16"}), net(), 1, "cpu", tmp_path / precision.FILE)
    assert str(chosen) == "bf16 channels_last"


def test_the_probe_says_what_it_measured_and_leaves_the_net_as_it_was() -> None:
    model = net()
    before = {n: w.clone() for n, w in model.state_dict().items()}
    torch.manual_seed(1)
    want = torch.rand(1)
    torch.manual_seed(1)
    chosen = probe(model, (4, 1, 8, 8))
    assert str(chosen) in {"fp32", "fp32 channels_last", "bf16 channels_last"}
    assert chosen.why.startswith("measured, images/s: fp32 ")
    assert all(torch.equal(w, before[n]) for n, w in model.state_dict().items())
    assert torch.equal(torch.rand(1), want)


@pytest.mark.usefixtures("_bf16")
def test_the_fastest_format_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    cost = {"fp32": 3.0, "fp32 channels_last": 2.0, "bf16 channels_last": 1.0}
    monkeypatch.setattr(precision, "_step_seconds", lambda _, p, shape, device: cost[str(p)] * shape[0])
    assert str(probe(net(), (8, 1, 8, 8))) == "bf16 channels_last"
    cost["bf16 channels_last"] = 2.5
    assert str(probe(net(), (8, 1, 8, 8))) == "fp32 channels_last"


@pytest.mark.usefixtures("_bf16")
def test_why_a_depthwise_net_computes_in_fp32_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    cost = {"fp32": 3.0, "fp32 channels_last": 2.0, "bf16 channels_last": 4.0}
    monkeypatch.setattr(precision, "_step_seconds", lambda _, p, shape, device: cost[str(p)] * shape[0])
    depthwise = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 3, groups=4))
    why = probe(depthwise, (8, 1, 8, 8)).why
    assert why.startswith("depthwise nets are slower in bf16 on this CPU; measured, images/s: fp32 0, ")
    assert probe(net(), (8, 1, 8, 8)).why.startswith("measured, ")
    cost["bf16 channels_last"] = 1.0
    assert probe(depthwise, (8, 1, 8, 8)).why.startswith("measured, ")


@pytest.mark.parametrize("able", [True, False])
def test_bf16_is_tried_on_a_cpu_that_has_it_alone(able: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: able)
    short = ["bf16 channels_last"] if able else []
    assert [str(p) for p in precision.candidates(net(), "cpu")] == ["fp32", "fp32 channels_last", *short]


@pytest.mark.parametrize(("device", "short"), [("cpu", None), ("cpu", "bf16"), ("cuda", "bf16")])
def test_the_gradient_by_minimal_filtering_is_tried_on_a_cpu(
    device: str, short: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_short_format", lambda _: short)
    found = [str(p) for p in precision.candidates(build(TrialConfig(width=32), classes=7, channels=1), device)]
    assert ("fp32 channels_last winograd" in found) is (device == "cpu")
    assert found[-1] == ("bf16 channels_last" if short else "fp32 channels_last")  # which takes least memory


def test_what_was_measured_among_fewer_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(precision, "probe", lambda *_: asked.append(1) or Precision(format="fp32", channels_last=True))
    monkeypatch.setattr(precision, "_short_format", lambda _: None)
    model = build(TrialConfig(width=32), classes=7, channels=1)
    for served in (False, True, True):
        monkeypatch.setattr(precision.winograd, "has_layers", lambda _, served=served: served)
        choose(TrialConfig(width=32), model, 1, "cpu", tmp_path / precision.FILE)
    assert len(asked) == 2


def test_a_depthwise_net_is_not_called_slower_in_a_format_that_was_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_short_format", lambda _: None)
    depthwise = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 3, groups=4))
    assert probe(depthwise, (8, 1, 8, 8)).why.startswith("measured, ")


@pytest.mark.parametrize(("able", "short"), [(True, "bf16"), (False, "fp16")])
def test_fp16_is_tried_on_a_gpu_without_bf16_alone(able: bool, short: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    major = 8 if able else 7
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: asked.append(device) or SimpleNamespace(major=major)
    )
    assert [p.format for p in precision.candidates(net(), "cuda:1")] == ["fp32", "fp32", short]
    assert asked == ["cuda:1"]  # and not the current one


@pytest.mark.parametrize(
    ("before", "device", "short", "kept"),
    [
        (Precision(format="fp32", channels_last=False, why="measured then"), "cpu", None, True),
        (Precision(format="bf16", channels_last=True), "cpu", "bf16", True),
        (Precision(format="bf16", channels_last=True), "cpu", None, False),  # torch would emulate it
        (Precision(format="bf16", channels_last=True), "cuda", "fp16", False),  # of an A100, on a T4
        (Precision(format="fp16", channels_last=True), "cuda", "bf16", False),
        (Precision(format="fp32", channels_last=True, winograd=True), "cuda", "bf16", False),
    ],
)
def test_a_training_that_goes_on_computes_as_before_where_the_device_does_so_by_itself(
    before: Precision, device: str, short: str | None, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_short_format", lambda _: short)
    assert goes_on(before, CONFIG, net(), device) == kept
    assert goes_on(before, CONFIG.with_params({"precision": before.format}), net(), device)


class Full(nn.Module):
    """A net that memory does not hold."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError


def test_where_memory_does_not_suffice_to_measure_the_smallest_format_serves_until_it_does(tmp_path: Path) -> None:
    config, cache = TrialConfig(width=5), tmp_path / "precision.json"
    chosen = choose(config, Full(), 1, "cpu", cache)
    assert (chosen.format, chosen.channels_last) == (precision.candidates(net(), "cpu")[-1].format, True)
    assert "memory did not suffice" in chosen.why
    assert not cache.exists()
    assert choose(config, net(), 1, "cpu", cache).why.startswith("measured, ")


@pytest.mark.usefixtures("_bf16")
@pytest.mark.parametrize(("launch", "row"), [(0.02, 1e-3), (0.0005, 1e-4)])
def test_on_a_gpu_whole_batches_are_timed_but_for_the_turn_that_tries_kernels(
    monkeypatch: pytest.MonkeyPatch, launch: float, row: float
) -> None:
    cost = {"fp32": (1, 3), "fp32 channels_last": (1, 2), "bf16 channels_last": (3, 1)}  # of launching, of computing
    now, asked = [0.0], []

    def seconds(_: nn.Module, p: Precision, shape: tuple[int, ...], device: str) -> float:
        asked.append((str(p), shape[0]))
        launches, rows = cost[str(p)]
        tried = 5.0 if asked.count(asked[-1]) == 1 and p.format == "bf16" else 0.0  # kernels, where a shape is new
        now[0] += (spent := launch * launches + row * rows * shape[0] + tried)
        return spent

    monkeypatch.setattr(precision, "_step_seconds", seconds)
    monkeypatch.setattr(precision, "seeded", lambda *_: nullcontext())
    monkeypatch.setattr(precision.time, "perf_counter", lambda: now[0])
    assert str(probe(net(), (256, 1, 8, 8), "cuda")) == "bf16 channels_last"
    assert [asked.count((name, 256)) for name in cost] == [3, 3, 3]


@pytest.mark.parametrize(("row", "rows"), [(0.001, [4, 64, 64]), (0.1, [4, 10, 10]), (1.0, [4, 4, 4, 4])])
def test_on_a_cpu_as_many_rows_are_timed_twice_as_there_is_time_for(
    monkeypatch: pytest.MonkeyPatch, row: float, rows: list[int]
) -> None:
    asked: dict[str, list[int]] = {}
    monkeypatch.setattr(precision, "PROBE_SECONDS", 1.0)
    monkeypatch.setattr(precision, "ROUNDS", 4)
    monkeypatch.setattr(precision, "_short_format", lambda _: None)
    now = iter(range(0, 100, 2))  # each look at the clock two seconds later
    monkeypatch.setattr(precision.time, "perf_counter", lambda: next(now))
    seconds = lambda _, p, shape, __: asked.setdefault(str(p), []).append(shape[0]) or row * shape[0]  # noqa: E731
    monkeypatch.setattr(precision, "_step_seconds", seconds)
    probe(net(), (64, 1, 8, 8))
    assert asked == {"fp32": rows, "fp32 channels_last": rows}


def test_what_was_measured_with_other_instructions_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(precision, "probe", lambda *_: asked.append(1) or Precision(format="bf16", channels_last=True))
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    for able in (False, True):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda able=able: able)
        choose(CONFIG, net(), 1, "cpu", tmp_path / precision.FILE)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")
    for _ in range(2):
        choose(CONFIG, net(), 1, "cpu", tmp_path / precision.FILE)
    assert len(asked) == 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_is_measured_too() -> None:
    chosen = probe(net().to("cuda"), (4, 1, 8, 8), "cuda")
    assert chosen.why.startswith("measured, images/s: fp32 ")


def test_an_answer_is_kept_in_the_process_and_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(precision, "probe", lambda *_: asked.append(1) or Precision(format="bf16", channels_last=True))
    cache = tmp_path / "made" / "precision.json"
    first = choose(CONFIG, net(), 1, "cpu", cache)
    assert choose(CONFIG, net(), 1, "cpu", cache) == first
    monkeypatch.setattr(precision, "_KNOWN", {})
    assert choose(CONFIG, net(), 1, "cpu", cache) == first
    assert len(asked) == 1
    choose(CONFIG.with_params({"width": 5}), net(), 1, "cpu", cache)
    assert len(asked) == 2
    assert len(json.loads(cache.read_text())) == 2


@pytest.mark.parametrize(
    "text", ["{", '{"a": 1}', '{"a": {"format": "bf16"}}', '{"a": {"format": "b16", "channels_last": true}}']
)
def test_a_damaged_cache_file_costs_a_probe_and_nothing_else(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "probe", lambda *_: Precision(format="fp32", channels_last=False))
    cache = tmp_path / "precision.json"
    cache.write_text(text)
    assert str(choose(CONFIG, net(), 1, "cpu", cache)) == "fp32"
    assert "a" not in json.loads(cache.read_text())


def test_autocast_is_on_for_the_short_formats() -> None:
    layer = nn.Linear(2, 2)
    for number, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16), ("fp32", torch.float32)):
        for context in (Precision.autocast, Precision.training):
            with context(Precision(format=number, channels_last=True), "cpu"):
                assert layer(torch.rand(1, 2)).dtype == dtype


def test_the_gradient_by_minimal_filtering_is_for_weights_that_learn_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    served, layer = [], nn.Conv2d(64, 64, 3)
    monkeypatch.setattr(
        precision.winograd, "weight_gradient", lambda x, *_: served.append(1) or torch.zeros(64, 64, 3, 3)
    )
    chosen = Precision(format="fp32", channels_last=True, winograd=True)
    for context in (chosen.autocast, chosen.training):
        with context("cpu"):
            layer(torch.rand(1, 64, 4, 4)).sum().backward()
    assert served == [1]
