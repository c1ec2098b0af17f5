"""What a net costs, whatever it learns: its parameters, operations and time of one image, a training's memory."""

import resource
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ferhpo.models import registry
from ferhpo.space.config import TrialConfig
from ferhpo.training.guard import give_back, threads

THREADS = 1  # that a latency is measured with
WARM, RUNS = 3, 30
MIB = 1 << 20
OWN = Path("/proc/self")


def untrained(config: TrialConfig, *, classes: int, channels: int) -> nn.Module:
    """Return the net of a config on the CPU, with weights that nobody trained; torch's generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        return registry.build(config.with_params({"pretrained": False}), classes=classes, channels=channels)


def parameters(model: nn.Module) -> int:
    """Return the number of weights, frozen ones included."""
    return sum(weight.numel() for weight in model.parameters())


def flops(model: nn.Module, *, channels: int, size: int) -> int:
    """Return the operations of one image's forward pass, a multiplication and an addition counted as two.

    Convolutions and matrix products are counted, as torch counts them; norms and activations are not.

    Args:
        model: on the CPU; it is left in evaluation mode.
        channels: of the image.
        size: pixels a side.
    """
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, channels, size, size))
    return counter.get_total_flops()


def latency_ms(model: nn.Module, *, channels: int, size: int) -> float:
    """Return the median milliseconds of one image on a CPU: batch 1, float32, THREADS threads, after a few to warm up.

    Args:
        model: on the CPU; it is left in evaluation mode.
        channels: of the image.
        size: pixels a side.
    """
    times = []
    model.to(memory_format=torch.channels_last).eval()
    image = torch.zeros(1, channels, size, size).to(memory_format=torch.channels_last)
    with threads(THREADS), torch.inference_mode():
        for _ in range(WARM + RUNS):
            start = time.perf_counter()
            model(image)
            times.append(time.perf_counter() - start)
    return float(np.median(times[WARM:]) * 1000)


def forget_peak(device: str) -> None:
    """Let `peak_mib` begin anew, without what earlier trainings of this process have freed."""
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        give_back(device)
        with suppress(OSError):  # elsewhere than on Linux the peak is the process's of all its time
            (OWN / "clear_refs").write_text("5")


def peak_mib(device: str) -> float:
    """Return the most memory since `forget_peak`: that torch held on a GPU, else that this process held."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    with suppress(OSError):
        for line in (OWN / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
