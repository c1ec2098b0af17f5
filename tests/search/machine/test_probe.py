"""What is timed: real steps, asked for in lines."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ferhpo.data.cache import prepare
from ferhpo.search.machine import probe
from ferhpo.search.machine.probe import Steps, main
from ferhpo.space.config import TrialConfig
from ferhpo.space.sections import DataSpec
from ferhpo.training import cost

CONFIG = TrialConfig(width=4, image_size=12, batch_size=16, precision="fp32")


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Leave the number of threads as it was."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    return prepare(DataSpec(format="synthetic", rows=100), None, tmp_path).folder


def test_steps_go_on_past_the_end_of_the_data_and_change_the_weights(prepared: Path) -> None:
    steps = Steps(CONFIG, prepared, "cpu")
    before = [w.clone() for w in steps._update.model.parameters()]
    assert steps.rate(0) > 0
    for _ in range(10):
        steps._step()
    assert any(not w.equal(b) for w, b in zip(steps._update.model.parameters(), before, strict=True))
    assert steps.memory()["bytes"] > 1 << 20


def test_memory_is_the_process_s_own_and_not_its_parent_s(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "peak_mib", lambda device: {"cpu": 100.5}[device])  # ru_maxrss begins with the parent's
    assert Steps(CONFIG, prepared, "cpu").memory()["bytes"] == int(100.5 * (1 << 20))


def test_memory_is_that_of_a_validation_batch_as_well(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, bool]] = []
    steps = Steps(CONFIG, prepared, "cpu")
    steps._update.model.register_forward_pre_hook(lambda net, args: seen.append((len(args[0]), net.training)))
    monkeypatch.setattr(probe, "batch_size", lambda *_: 7)
    steps.memory()
    assert seen == [(7, False), (7, False)]  # the image, and its mirror image
    steps.rate(0)
    assert seen[2:] == [(16, True)]


def answers(
    asked: str, prepared: Path, config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[dict[str, Any]]:
    monkeypatch.setattr(sys, "argv", ["probe", str(prepared), "cpu", config])
    monkeypatch.setattr(sys, "stdin", io.StringIO(asked))
    main()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_it_answers_until_its_input_ends(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ready, warm, timed = answers("2\ngo 0\n", prepared, CONFIG.to_json(), monkeypatch, capsys)
    assert ready["bytes"] > 1 << 20
    assert warm == {}
    assert timed["rate"] > 0
    assert torch.get_num_threads() == 2


def test_what_goes_wrong_is_an_answer(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = CONFIG.to_json().replace(CONFIG.arch, "nosuchnet")
    (said,) = answers("", prepared, config, monkeypatch, capsys)
    assert "an architecture must be a known one" in said["error"]


@pytest.mark.slow  # imports torch once more
def test_it_is_a_program(prepared: Path) -> None:
    command = [sys.executable, "-m", "ferhpo.search.machine.probe", str(prepared), "cpu", CONFIG.to_json()]
    ran = subprocess.run(command, input="1\ngo 0\n", capture_output=True, text=True, timeout=120, check=True)
    assert len(ran.stdout.splitlines()) == 3
