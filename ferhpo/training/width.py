"""The width that fits a time budget: the widest net that still sees every image often enough."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ferhpo._seeding import derive
from ferhpo.data.cache import Prepared
from ferhpo.errors import TrainingError, first_line
from ferhpo.space.config import TrialConfig
from ferhpo.space.dimension import Dimension
from ferhpo.training import heap, schedule
from ferhpo.training.adversarial import passes
from ferhpo.training.guard import give_back, out_of_memory, seeded
from ferhpo.training.step import for_timing

WIDTHS = (8, 12, 16, 24, 32, 48, 64, 96)
PASSES = 1 / 2  # over the training rows for each channel of width: size and data grow together
STEPS = 3  # timed, of which the fastest counts; the one before them builds kernels


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A width and what it was chosen by.

    Args:
        width: channels of the first stage.
        images_per_second: of a training step at this width, averaged over the sizes that training goes through.
        passes: over the training rows that the budget holds.
    """

    width: int
    images_per_second: float
    passes: float

    def __str__(self) -> str:
        """Return the choice as a sentence."""
        return (
            f"width {self.width} fits the time: about {self.images_per_second:.0f} images/s, {self.passes:.1f} passes"
        )


def offered(dimension: Dimension) -> list[int]:
    """Return the widths of a study's dimension to choose from, ascending."""
    low, high = int(dimension.low or 0), int(dimension.high or 0)
    return sorted(dimension.choices or [w for w in WIDTHS if low <= w <= high] or {low, dimension.default, high})


def fit(config: TrialConfig, data: Prepared, widths: Sequence[int] = WIDTHS, *, device: str, seconds: float) -> Fitted:
    """Return the widest whose net gets a pass for every two channels, the narrowest if none does.

    A net that memory does not hold a step of is too wide. Wider nets learn more from a pass and get fewer of them; that
    size and data should grow in step is what Hoffmann et al. 2022 (arXiv 2203.15556) found for language models; how far
    is measured in docs/benchmarks.md. Steps are timed on this machine, about a second a width.

    Args:
        config: all but the width; of one of our own architectures.
        data: its train rows count.
        widths: to choose from, ascending.
        device: cpu or cuda[:n].
        seconds: of the training.

    Raises:
        TrainingError: memory does not hold a step of the narrowest.
    """
    rows = len(data.part("train").rows)
    best, reason = None, ""
    for width in widths:
        try:
            rate = images_per_second(config.with_params({"width": width}), data, device)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            reason = first_line(error)
            break
        found = Fitted(width=width, images_per_second=rate, passes=rate * seconds / rows)
        if best is not None and found.passes < PASSES * width:
            break
        best = found
    if reason:
        give_back(device)
    if best is None:
        said = f"width {widths[0]} at a batch of {config.batch_size} did not ({reason})"
        msg = f"a training must fit into the memory of {device}, {said}; set a smaller batch_size"
        raise TrainingError(msg)
    return best


def images_per_second(config: TrialConfig, data: Prepared, device: str) -> float:
    """Return how fast a configuration trains here, averaged over the image sizes that it goes through.

    Args:
        config: of any architecture; weights are random and there is no teacher, whatever it says.
        data: its images' shape and number count.
        device: cpu or cuda[:n].
    """
    heap.keep()  # as the training will
    cost = passes(config) * sum((schedule.size(config, p / 100) / config.image_size) ** 2 for p in range(100)) / 100
    rate = _rate(config, data, device)
    give_back(device)  # what stays cached is missing from whoever trains beside this process
    return rate / cost


def _rate(config: TrialConfig, data: Prepared, device: str) -> float:
    """Return images a second of updates at the full image size."""
    rows, classes = min(config.batch_size, len(data.part("train").rows)), len(data.classes)
    with seeded(derive(config.seed, "width"), device):
        step = for_timing(config, data, device)
        x = torch.rand(rows, data.images.shape[-1], config.image_size, config.image_size, device=device)
        x = x.to(memory_format=step.precision.memory_format)
        targets, best = torch.full((rows, classes), 1 / classes, device=device), float("inf")
        for t in range(STEPS + 1):
            start = time.perf_counter()
            step(x, targets, lr=config.lr, t=t).item()  # waits for a GPU
            if t:
                best = min(best, time.perf_counter() - start)
    return rows / best
