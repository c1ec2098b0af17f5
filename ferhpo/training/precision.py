"""Number and memory format of a training step, chosen by measurement: which one is fast differs by net and by machine.

On a CPU with AMX or avx512_bf16 plain convolutions are 2 to 3 times as fast in bf16, depthwise ones half as fast.
"""

import copy
import json
import platform
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ferhpo._atomic import locked, write_json
from ferhpo.space.config import TrialConfig

PROBE_SECONDS = 1.0
PROBE_ROWS = 32
ROUNDS = 6
FORMATS = (("fp32", False), ("fp32", True), ("bf16", True))  # what the probe compares, (number format, channels last)
_KNOWN: dict[str, "Precision"] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """How a training step computes; weights are float32 always.

    Args:
        format: fp32 or bf16 (autocast).
        channels_last: memory format of images and convolutions.
        why: who chose, for people.
    """

    format: str
    channels_last: bool
    why: str = "as configured"

    def __str__(self) -> str:
        """Return e.g. ``bf16 channels_last``."""
        return f"{self.format}{' channels_last' if self.channels_last else ''}"

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name, ready for JSON."""
        return asdict(self)

    @property
    def memory_format(self) -> torch.memory_format:
        """What `Module.to` takes."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def autocast(self, device: str) -> torch.autocast:
        """Return the context for a forward pass."""
        return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=self.format == "bf16")


def choose(config: TrialConfig, model: nn.Module, channels: int, device: str, cache: Path | None = None) -> Precision:
    """Return the precision of a config: as it says, or the fastest of a second's probe on this machine.

    Args:
        config: precision, and what tells one step's cost from another's.
        model: on the device; a copy of it is timed.
        channels: of the images.
        device: cpu or cuda[:n]. CUDA takes bf16 where the GPU has it, without a probe.
        cache: JSON file with what was chosen before, made if missing; of several trials one probes, the others wait.
    """
    if config.precision != "auto":
        return Precision(format=config.precision, channels_last=True)
    if torch.device(device).type != "cpu":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
        return Precision(format="bf16" if able else "fp32", channels_last=True, why="by the GPU")
    key = _key(config, channels)
    if key not in _KNOWN:
        _KNOWN[key] = _remembered(key, config, model, channels, cache)
    return _KNOWN[key]


def probe(model: nn.Module, shape: tuple[int, int, int, int]) -> Precision:
    """Time forward and backward of copies of ``model`` on CPU, in turns; return the fastest format by its best turn."""
    tried = [Precision(format=number, channels_last=last) for number, last in FORMATS]
    copies = [copy.deepcopy(model).to(memory_format=p.memory_format) for p in tried]
    best = [float("inf")] * len(FORMATS)
    end = time.perf_counter() + PROBE_SECONDS
    with torch.random.fork_rng(devices=[]):
        for turn in range(ROUNDS):
            rows = 4 if turn == 0 else shape[0]  # the first turn builds kernels, and tells whether rows have to be few
            for i, p in enumerate(tried):
                spent = _step_seconds(copies[i], p, (rows, *shape[1:]))
                best[i] = spent if turn <= 1 else min(best[i], spent)
            if turn == 0 and max(best) * shape[0] / 4 * len(FORMATS) > 2 * PROBE_SECONDS:
                shape = (4, *shape[1:])
            if turn > 0 and time.perf_counter() > end:
                break
    said = ", ".join(f"{p} {shape[0] / spent:.0f}" for p, spent in zip(tried, best, strict=True))
    return replace(tried[best.index(min(best))], why=f"measured, images/s: {said}")


def _step_seconds(model: nn.Module, precision: Precision, shape: tuple[int, ...]) -> float:
    x = torch.rand(shape).to(memory_format=precision.memory_format)
    model.train()
    start = time.perf_counter()
    with precision.autocast("cpu"):
        loss = model(x).float().square().mean()
    loss.backward()
    model.zero_grad(set_to_none=True)
    return time.perf_counter() - start


def _remembered(key: str, config: TrialConfig, model: nn.Module, channels: int, cache: Path | None) -> Precision:
    rows = min(config.batch_size, PROBE_ROWS)
    shape = (rows, channels, config.image_size, config.image_size)
    if cache is None:
        return probe(model, shape)
    with suppress(OSError), locked(cache.with_suffix(".lock")):
        known = _read(cache)
        if key not in known:
            known[key] = probe(model, shape).to_json()
            write_json(cache, known)
        return Precision(**known[key])
    return probe(model, shape)  # a cache folder that cannot be written


def _read(cache: Path) -> dict[str, Any]:
    try:
        known = json.loads(cache.read_text())
        return {key: Precision(**value).to_json() for key, value in known.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # nothing is lost but a second


def _key(config: TrialConfig, channels: int) -> str:
    frozen = "frozen" if config.frozen and config.pretrained else "whole"
    net = (config.arch, config.width, f"{channels}x{config.image_size}px", frozen)
    cpu = torch.backends.cpu.get_cpu_capability()
    machine = (platform.node(), cpu, f"{torch.get_num_threads()}-threads", torch.__version__)
    return " ".join(map(str, (*net, *machine)))
