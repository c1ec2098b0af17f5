"""Whether compiling a net pays, and the compiled net.

Never on a CPU: 53 s of compiling gave 269 images/s in place of 292 (resnet9s, width 32, 48 px, 2 cores). On a GPU a
small net waits for its kernels to be launched; CUDA graphs replay a whole pass with one launch.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from ferhpo.models import registry
from ferhpo.space.config import TrialConfig
from ferhpo.training.guard import give_back, out_of_memory, seeded
from ferhpo.training.precision import Precision

OPTIONS: dict[str, Any] = {"mode": "reduce-overhead"}  # CUDA graphs
SECONDS = 60.0  # that compiling is taken to last before one was seen
SAFETY = 2.0  # compiling must give back so many times what it takes
RUNS = 8
CLOSE = 0.1  # how far logits and gradients of the compiled net may be from the net's own, as a share of their norm
_LAST: dict[str, float] = {}  # what this process compiled last, by key: seconds it took
_VAIN: set[str] = set()  # keys of what this process could not compile, or was no faster


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A net that runs compiled on batches of one shape, and as it is on others, such as an epoch's last.

    Args:
        net: as it is.
        fast: the same net, compiled.
        shape: of the batches.
        seconds: that compiling took.
        gain: how many times as fast forward and backward became.
    """

    net: nn.Module
    fast: Callable[[torch.Tensor], torch.Tensor]
    shape: tuple[int, ...]
    seconds: float
    gain: float

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Map images to logits."""
        return self.fast(x) if tuple(x.shape) == self.shape else self.net(x)

    def __str__(self) -> str:
        """Return e.g. ``2.1 times as fast after 40 s``."""
        return f"{self.gain:.1f} times as fast after {self.seconds:.0f} s"


def kind(config: TrialConfig, classes: int) -> str:
    """Return the key of configs that one compiled net serves: same structure and dropout rates.

    The rates are constants of its graph, whose guards refuse a net with others: that one would be compiled again.
    """
    return f"{config.net()} {config.dropout} {config.feature_dropout} {config.denoise} {classes} classes"


def forget(device: str) -> None:
    """Give back the memory of what this process compiled last, CUDA graphs' pools with it."""
    _LAST.clear()
    torch.compiler.reset()
    give_back(device)


def let_go(device: str) -> None:
    """Forget what an earlier trial left compiled: its CUDA graphs hold memory that a trial without them may need."""
    if _LAST:
        forget(device)


def give_up(device: str) -> None:
    """Forget what was compiled last, and never compile it again in this process: it failed while it trained."""
    _VAIN.update(_LAST)
    forget(device)


def pays(*, full: float, half: float, steps: float, cost: float) -> bool:
    """Tell whether compiling gives back more than it takes.

    What two half batches take longer than a whole one is not computing but launching, and that is what is saved.

    Args:
        full: seconds of forward and backward of a batch.
        half: of half a batch.
        steps: updates that are left.
        cost: seconds of compiling; 0 where it is done already.

    >>> pays(full=0.005, half=0.005, steps=50_000, cost=60)
    True
    >>> pays(full=0.005, half=0.0025, steps=50_000, cost=60)
    False
    """
    return steps * max(0.0, 2 * half - full) > SAFETY * cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """Forward and backward passes over random batches of one shape, which leave the net as it was.

    Args:
        model: on the device, in its final memory format.
        precision: of the passes.
        shape: of a batch.
        device: cpu or cuda[:n].
    """

    model: nn.Module
    precision: Precision
    shape: tuple[int, ...]
    device: str

    def seconds(self, fast: Callable[[torch.Tensor], torch.Tensor]) -> float:
        """Return the seconds of a pass of the net, or of the same compiled, the best of some."""
        return min(self.once(fast) for _ in range(RUNS))

    def agree(self, fast: Callable[[torch.Tensor], torch.Tensor]) -> bool:
        """Tell whether a compiled net computes about what the net does; True for one that drops at random."""
        logits, gradients = [], []

        def look(found: torch.Tensor) -> None:
            logits.append(found.detach().float().clone())  # the next replay of its graph writes there again
            weights = [w for w in self.model.parameters() if w.requires_grad]
            parts = [(torch.zeros_like(w) if w.grad is None else w.grad).float().flatten() for w in weights]
            gradients.append(torch.cat(parts))

        for net, seed in ((self.model, 0), (self.model, 1), (fast, 0)):
            self.once(net, seed=seed, look=look)

        def close(i: int) -> bool:
            return all(bool((found[i] - found[0]).norm() <= CLOSE * found[0].norm()) for found in (logits, gradients))

        return close(2) or not close(1)

    def once(
        self,
        fast: Callable[[torch.Tensor], torch.Tensor],
        *,
        seed: int = 0,
        look: Callable[[torch.Tensor], object] = lambda _: None,
    ) -> float:
        """Run one pass and return its seconds.

        Args:
            fast: the net, or the same compiled, which shares its weights.
            seed: of what the net draws.
            look: is given the logits while the weights have their gradients.
        """
        buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        registry.train_mode(self.model)
        with seeded(0, self.device), torch.backends.cudnn.flags(enabled=True, benchmark=True):
            x = torch.rand(self.shape, device=self.device).to(memory_format=self.precision.memory_format)
            torch.manual_seed(seed)
            try:
                _wait(self.device)
                start = time.perf_counter()
                with self.precision.autocast(self.device):
                    logits = fast(x)
                logits.float().square().mean().backward()
                _wait(self.device)
                seconds = time.perf_counter() - start
                look(logits)
                return seconds
            finally:
                self.model.zero_grad(set_to_none=True)
                for name, buffer in self.model.named_buffers():
                    buffer.copy_(buffers[name])


def choose(passes: Passes, key: str, steps: Callable[[float], float]) -> Compiled | None:
    """Return the compiled net where it pays, None on a CPU and where it does not.

    Args:
        passes: of the net, over whole batches.
        key: of `kind`; of nets of one kind a process compiles the first.
        steps: how many updates are left if one takes so many seconds.
    """
    shape, name = passes.shape, f"{key} {passes.precision} {passes.shape}"
    if torch.device(passes.device).type == "cpu" or shape[0] < 4 or name in _VAIN:
        return None
    try:
        full = passes.seconds(passes.model)
        cost = 0.0 if name in _LAST else max(_LAST.values(), default=SECONDS)
        if not pays(full=full, half=full, steps=steps(full), cost=cost):  # the most that there can be to save
            return None
        half = replace(passes, shape=(shape[0] // 2, *shape[1:])).seconds(passes.model)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return None  # the training will find out, and knows what to do
    if not pays(full=full, half=half, steps=steps(full), cost=cost):
        return None
    return make(passes, name, full)


def make(passes: Passes, name: str, full: float) -> Compiled | None:
    """Compile a net; None if it cannot be compiled, computes something else, or is no faster than ``full`` seconds."""
    if name not in _LAST:
        forget(passes.device)
    start = time.perf_counter()
    fast = torch.compile(passes.model, **OPTIONS)
    try:
        passes.once(fast)
        seconds = time.perf_counter() - start
        took = passes.seconds(fast)
        if not passes.agree(fast):  # after those, so that a graph's replay is looked at
            took = full
    except Exception:  # noqa: BLE001 - whatever a compiler dies of, the net runs without it
        seconds, took = 0.0, full
    if took >= full:
        forget(passes.device)
        _VAIN.add(name)
        return None
    _LAST.setdefault(name, seconds)
    return Compiled(net=passes.model, fast=fast, shape=passes.shape, seconds=seconds, gain=full / took)


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
