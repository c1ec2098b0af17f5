"""What is watched while a training runs: its loss, its memory, and the random generators that it borrows."""

import gc
from collections.abc import Callable, Generator
from contextlib import contextmanager
from math import isfinite
from typing import TypeVar

import torch

from ferhpo.errors import TrainingError, first_line
from ferhpo.training import heap

# What out-of-memory errors say in CUDA, torch on a CPU, C++, cuBLAS and cuDNN; "unable to find an engine" is cuDNN
# without room for any of its plans, "..._NOT_INITIALIZED" a library without room for its handle.
NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "std::bad_alloc",
    "ALLOC_FAILED",
    "ALLOCATION_FAILED",
    "unable to find an engine",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_NOT_INITIALIZED",
)
NO_ROOM = "could not create a primitive"  # all that oneDNN says without room for a kernel; "... descriptor" is no such
LOST = ("CUDA error", "illegal memory access", "unspecified launch failure")  # Triton names the latter two by itself
CHECK_EVERY = 20  # steps between looks at the loss on a GPU, where a look waits for the device; on a CPU every step


Found = TypeVar("Found")


class Losses:
    """The losses of an epoch's steps: finite, or the training ends.

    Args:
        epoch: for the message.
        device: where the losses are.
        last: last finite loss of the epoch before, None if there is none.
    """

    def __init__(self, epoch: int, device: str, last: float | None) -> None:
        self.last = last
        self._epoch = epoch
        self._every = 1 if torch.device(device).type == "cpu" else CHECK_EVERY
        self._waiting: list[tuple[torch.Tensor, float]] = []
        self._sum, self._steps, self._lr = 0.0, 0, 0.0

    def add(self, loss: torch.Tensor, lr: float, *, wait: bool = False) -> None:
        """Take in a step's loss.

        Args:
            loss: a scalar.
            lr: of the step.
            wait: look at it at once, for which a GPU must have done the step.

        Raises:
            TrainingError: one of the last is not finite.
        """
        self._waiting.append((loss.detach(), lr))
        if wait or len(self._waiting) >= self._every:
            self._look()

    def mean(self) -> float:
        """Return the mean so far; raises as `add`."""
        self._look()
        return self._sum / max(self._steps, 1)

    @property
    def where(self) -> str:
        """The last step that was looked at, and the last loss that was finite."""
        last = "none" if self.last is None else f"{self.last:.4g}"
        return f"epoch {self._epoch}, step {self._steps}, lr {self._lr:.3g} (last finite loss: {last})"

    def _look(self) -> None:
        values = torch.stack([loss for loss, _ in self._waiting]).tolist() if self._waiting else []
        for value, (_, lr) in zip(values, self._waiting, strict=True):
            self._steps, self._lr = self._steps + 1, lr
            if not isfinite(value):
                msg = f"a loss must be finite, got {value} at {self.where}; set a lower lr"
                raise TrainingError(msg)
            self._sum += value
            self.last = value
        self._waiting.clear()


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that memory does not suffice, on a GPU or on a CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    said = str(error)
    return isinstance(error, RuntimeError) and (said == NO_ROOM or any(text in said for text in NO_MEMORY))


def device_is_lost(error: BaseException) -> bool:
    """Tell whether later calls of this process to its GPU may fail as well: most errors stay with a CUDA context."""
    return any(text in str(error) for text in LOST) and not out_of_memory(error)


def give_back(device: str) -> None:
    """Free what a failed computation held; call it out of the handler, whose error holds the computation's tensors."""
    gc.collect()
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()
    heap.give_back()


def halved(compute: Callable[[int], Found], batch: int, device: str) -> tuple[Found, int]:
    """Return what comes of a batch size, halved until memory suffices, and that size.

    Args:
        compute: is given the images at a time.
        batch: to begin with.
        device: where it computes.

    Raises:
        TrainingError: memory does not hold one image.
    """
    while True:
        try:
            return compute(batch), batch
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            if batch == 1:
                msg = (
                    f"a net must fit into the memory of {device}, one image at a time did not ({first_line(error)}); "
                    "take a smaller net, a smaller image_size or another device"
                )
                raise TrainingError(msg) from error
        batch = (batch + 1) // 2
        give_back(device)


@contextmanager
def threads(count: int) -> Generator[None]:
    """Compute with so many CPU threads in a block; torch has as many as before after it."""
    before = torch.get_num_threads()
    if count == before:  # set once more, and oneDNN would build its kernels anew
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int, device: str) -> Generator[None]:
    """Seed torch's global generators, which dropout and fresh weights use, for a block; they are as before after it."""
    on_gpu = torch.device(device).type == "cuda"
    with torch.random.fork_rng(devices=[torch.device(device).index or 0] if on_gpu else []):
        torch.manual_seed(seed)
        yield
