"""Number and memory format of a training step, chosen by measurement: which one is fast differs by net and by machine.

On a CPU with AMX or avx512_bf16 plain convolutions are 2 to 3 times as fast in bf16, depthwise ones half as fast; in
fp32 `winograd` may help. On a GPU a net may be so small that autocast's own kernels cost more than they save.
"""

import copy
import os
import platform
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ferhpo import _kept
from ferhpo.space.config import TrialConfig
from ferhpo.training import winograd
from ferhpo.training.bf16 import safely
from ferhpo.training.guard import give_back, out_of_memory, seeded

FILE = "precision.json"  # beside the prepared images: what was measured on this machine
PROBE_SECONDS = 1.0  # at least; two turns of a large net take three
PROBE_ROWS = {"cpu": 64, "cuda": 256}  # at most
FEW_ROWS = 4  # at least; so few are not told from noise in two turns
ROUNDS = 6
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_KNOWN: dict[str, "Precision"] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """How a training step computes; weights are float32 always.

    Args:
        format: fp32, or bf16 or fp16 (autocast; the loss is scaled with fp16).
        channels_last: memory format of images and convolutions.
        winograd: how 3 x 3 convolutions get their weights' gradient, see there.
        why: who chose, for people.
    """

    format: str
    channels_last: bool
    winograd: bool = False
    why: str = "as configured"

    def __str__(self) -> str:
        """Return e.g. ``bf16 channels_last``."""
        words = (self.format, "channels_last" * self.channels_last, "winograd" * self.winograd)
        return " ".join(word for word in words if word)

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name, ready for JSON."""
        return asdict(self)

    @property
    def memory_format(self) -> torch.memory_format:
        """What `Module.to` takes."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    @property
    def dtype(self) -> torch.dtype:
        """The number format as torch's."""
        return DTYPES[self.format]

    def autocast(self, device: str) -> AbstractContextManager[object]:
        """Return the context for a forward pass."""
        kind = torch.device(device).type
        inner = torch.autocast(kind, self.dtype, enabled=self.format != "fp32")
        return safely(inner) if self.format == "bf16" and kind == "cpu" else inner

    def training(self, device: str) -> AbstractContextManager[object]:
        """Return the context for a forward pass that weights learn from."""
        return winograd.Winograd() if self.winograd else self.autocast(device)


def choose(config: TrialConfig, model: nn.Module, channels: int, device: str, cache: Path) -> Precision:
    """Return the precision of a config: as it says, or the fastest of a short probe on this machine.

    Args:
        config: precision, and what tells one step's cost from another's.
        model: on the device; a copy of it is timed.
        channels: of the images.
        device: cpu or cuda[:n].
        cache: JSON file with what was chosen before, made if missing; of several trials one probes, the others wait.
            What memory did not suffice to measure is not kept.
    """
    if config.precision != "auto":
        return Precision(format=config.precision, channels_last=True)
    rows = min(config.batch_size, PROBE_ROWS[torch.device(device).type])
    tried = candidates(model, device)
    key = _key(config, channels, rows, device, tried)
    if key not in _KNOWN:
        shape = (rows, channels, config.image_size, config.image_size)
        try:
            _KNOWN[key] = _kept.remembered(cache, key, lambda: probe(model, shape, device).to_json(), _parsed)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
    if key not in _KNOWN:  # nor is it for the next trial, which may have more memory
        give_back(device)
        return replace(tried[-1], why="memory did not suffice to measure, and this takes least of it")
    return _KNOWN[key]


def _parsed(value: dict[str, Any]) -> Precision:
    found = Precision(**value)
    if found.format not in DTYPES:
        raise KeyError(found.format)
    return found


def goes_on(before: Precision, config: TrialConfig, model: nn.Module, device: str) -> bool:
    """Tell whether a training can go on as it began: as configured, or as the device computes natively."""
    return config.precision != "auto" or str(before) in map(str, candidates(model, device))


def candidates(model: nn.Module, device: str) -> list[Precision]:
    """Return what the probe compares: both formats in fp32, and one short format that the device computes by itself.

    That is bf16; on a GPU without it fp16, which needs its loss scaled; on a CPU without it none: torch would emulate
    it, 7 to 16 times slower than fp32 on AVX2. On a CPU the gradient by minimal filtering is tried where it has layers,
    with bf16 or without: AVX-512 alone counts as having it, and is slow.
    """
    found = [Precision(format="fp32", channels_last=last) for last in (False, True)]
    if torch.device(device).type == "cpu" and winograd.has_layers(model):
        found.insert(1, replace(found[1], winograd=True))
    short = _short_format(device)
    return [*found, Precision(format=short, channels_last=True)] if short else found


def _short_format(device: str) -> str | None:
    if torch.device(device).type == "cpu":
        return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else None  # noqa: SLF001 - nowhere else said
    return "bf16" if gpu_has_bf16(device) else "fp16"


def gpu_has_bf16(device: str) -> bool:
    """Tell whether a GPU computes in bf16 by itself; `torch.cuda.is_bf16_supported` looks at the current one only."""
    return torch.cuda.get_device_properties(device).major >= 8  # Ampere


def probe(model: nn.Module, shape: tuple[int, int, int, int], device: str = "cpu") -> Precision:
    """Time forward and backward of copies of ``model``, in turns; return the fastest format by its best turn.

    Args:
        model: on the device.
        shape: of a batch; of fewer rows where a step takes long on a CPU.
        device: cpu or cuda[:n].

    Raises:
        RuntimeError, MemoryError: memory does not hold a step (`guard.out_of_memory` knows them).
    """
    tried, on_gpu = candidates(model, device), torch.device(device).type == "cuda"
    copies = [copy.deepcopy(model).to(memory_format=p.memory_format) for p in tried]
    best = [float("inf")] * len(tried)
    with seeded(0, device), torch.backends.cudnn.flags(enabled=True, benchmark=True):
        if on_gpu:  # its libraries load, which takes seconds
            for net, p in zip(copies, tried, strict=True):
                _step_seconds(net, p, (FEW_ROWS, *shape[1:]), device)
        end = time.perf_counter() + PROBE_SECONDS
        for turn in range(ROUNDS):
            # the first turn builds kernels, and on a CPU tells for how many rows there is time; on a GPU few rows take
            # as long as their kernels take to be launched, of which autocast has more
            rows = FEW_ROWS if turn == 0 and not on_gpu else shape[0]
            for i, p in enumerate(tried):
                spent = _step_seconds(copies[i], p, (rows, *shape[1:]), device)
                best[i] = spent if turn <= 1 else min(best[i], spent)
            if turn == 0 and not on_gpu:
                fit = int(2 * PROBE_SECONDS * FEW_ROWS / (max(best) * len(tried)))
                shape = (min(shape[0], max(FEW_ROWS, fit)), *shape[1:])
            if turn >= (3 if shape[0] <= FEW_ROWS else 2) and time.perf_counter() > end:
                break
    chosen = tried[best.index(min(best))]
    said = ", ".join(f"{p} {shape[0] / spent:.0f}" for p, spent in zip(tried, best, strict=True))
    reason, short = "", tried[-1].format
    if chosen.format == "fp32" and short != "fp32" and _is_depthwise(model):
        reason = f"depthwise nets are slower in {short} on this {_processor(device)}; "
    return replace(chosen, why=f"{reason}measured, images/s: {said}")


def _step_seconds(model: nn.Module, precision: Precision, shape: tuple[int, ...], device: str) -> float:
    on_gpu = torch.device(device).type == "cuda"
    x = torch.rand(shape, device=device).to(memory_format=precision.memory_format)
    model.train()
    if on_gpu:
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    with precision.training(device):
        loss = model(x).float().square().mean()
    loss.backward()
    model.zero_grad(set_to_none=True)
    if on_gpu:
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _is_depthwise(model: nn.Module) -> bool:
    return any(isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1 for m in model.modules())


def _processor(device: str) -> str:
    return "CPU" if torch.device(device).type == "cpu" else "GPU"


def _key(config: TrialConfig, channels: int, rows: int, device: str, tried: list[Precision]) -> str:
    if torch.device(device).type == "cpu":
        able = {"bf16": torch.cpu._is_avx512_bf16_supported(), "amx": torch.cpu._is_amx_tile_supported()}  # noqa: SLF001
        units = (name for name, there in able.items() if there)
        words = (torch.backends.cpu.get_cpu_capability(), *units, os.environ.get("ONEDNN_MAX_CPU_ISA", "all"))
        processor = " ".join((*words, f"{torch.get_num_threads()}-threads"))
    else:
        processor = torch.cuda.get_device_name(device)
    among = " or ".join(map(str, tried))
    return " ".join(
        map(str, (config.net(), f"{rows}x{channels}", platform.node(), processor, torch.__version__, among))
    )
