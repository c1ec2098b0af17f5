"""Stored uint8 rows to float batches on the training device, and where the rows lie meanwhile."""

import mmap
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import psutil
import torch
from torch.nn import functional

from ferhpo.space.config import TrialConfig
from ferhpo.training.guard import give_back, out_of_memory

if TYPE_CHECKING:
    from ferhpo.data.cache import Prepared  # which imports the readers of every format

RESIDENT_SHARE = 0.4  # of a GPU's free memory that one part's rows may take; beyond, they are streamed
CACHED_SHARE = 0.5  # of free memory: rows that take more are not expected to stay in the page cache
AHEAD = 2  # batches that are read while one is used
BLOCK_BYTES = 1 << 26  # of rows that are moved to a GPU at a time
OWN_GROUPS, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
_RESIDENT: OrderedDict[tuple[str, str, int], torch.Tensor] = OrderedDict()  # (key, device, hash of rows) -> rows
_RESIDENT_PARTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What is done to an image before a net sees it.

    Args:
        stored_size: pixels a side of the prepared images.
        image_size: pixels a side that the net sees.
        channels: 1 or 3, times the frames.
        mean: one a channel, of images scaled to 0..1.
        std: likewise.
        mirror: a prediction is the mean over the image and its mirror image.
        frames: of a sample, which lie one after the other in the channels.
    """

    stored_size: int
    image_size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mirror: bool
    frames: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name, ready for JSON."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def of(cls, config: TrialConfig, data: "Prepared") -> Self:
        """Return what a net of a configuration needs of these images."""
        return cls(
            stored_size=data.images.shape[1],
            image_size=config.image_size,
            channels=data.images.shape[-1],
            mean=tuple(data.mean),
            std=tuple(data.std),
            mirror=config.strength("flip") > 0,
            frames=config.frames,
        )

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Build from what `to_json` returned; raises TypeError or KeyError for anything else."""
        moments = {key: tuple(fields[key]) for key in ("mean", "std")}
        return cls(**{**fields, **moments})

    def scaled(self, images: torch.Tensor, size: int | None = None) -> torch.Tensor:
        """Return uint8 B x C x S x S as float32 in 0..1 at ``size`` pixels, else image_size (bilinear, antialiased)."""
        size = size or self.image_size
        x = images.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
        if x.shape[-1] != size or x.shape[-2] != size:
            x = functional.interpolate(x, (size, size), mode="bilinear", antialias=True)
        return x

    def normalise(self, x: torch.Tensor) -> torch.Tensor:
        """Return (x - mean) / std a channel, in place."""
        return x.sub_(by_channel(self.mean, x.device)).div_(by_channel(self.std, x.device))


@lru_cache(maxsize=32)
def by_channel(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """Return C x 1 x 1, copied to a device once: such a copy waits for all that a GPU has been given to do."""
    with torch.inference_mode(mode=False):
        return torch.tensor(values, device=device)[:, None, None]


class Rows:
    """Rows of an image array, by their position among ``rows``.

    On a GPU they are moved there once and kept for the next trial of the process if they fit. On a CPU a batch is
    gathered from the memory-mapped array, which takes a thousandth of a step while the rows are in memory. Rows that
    fit neither way are read ahead by a thread.

    Args:
        images: uint8 N x S x S x C.
        rows: int64 rows of ``images``, all of them if None.
        device: where batches go.
        key: names array and rows for the next trial; without one nothing is kept.
    """

    def __init__(self, images: np.ndarray, rows: np.ndarray | None, device: str, key: str | None = None) -> None:
        self._images = images
        self._rows = np.arange(len(images)) if rows is None else np.asarray(rows)
        self._device = torch.device(device)
        self._resident = None if key is None or self._device.type == "cpu" else self._settle(key)
        # on a GPU as well: the kernel is told in what order rows come that memory does not keep
        beyond_memory = self._resident is None and self._bytes > CACHED_SHARE * free_memory()
        if beyond_memory and isinstance(images.base, mmap.mmap):
            images.base.madvise(mmap.MADV_RANDOM)  # in any order: the neighbours of a row are no use
        self.streamed = beyond_memory or (self._resident is None and self._device.type == "cuda")

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._rows)

    def take(self, positions: torch.Tensor) -> torch.Tensor:
        """Return uint8 B x C x S x S on the device, for int64 positions on the CPU."""
        if self._resident is not None:
            return self._resident[positions.to(self._device, non_blocking=True)]
        batch = torch.from_numpy(self._images[self._rows[positions.numpy()]]).permute(0, 3, 1, 2)
        if self._device.type == "cuda":
            return batch.pin_memory().to(self._device, non_blocking=True)
        return batch.to(self._device)

    def batches(self, positions: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Yield `take` of each; rows that are streamed are read ahead, with the same result."""
        return ahead(self.take, positions) if self.streamed else map(self.take, positions)

    @property
    def _bytes(self) -> int:
        return len(self._rows) * int(np.prod(self._images.shape[1:]))

    def _settle(self, key: str) -> torch.Tensor | None:
        name = (key, str(self._device), hash(self._rows.tobytes()))
        if name in _RESIDENT:
            _RESIDENT.move_to_end(name)
            return _RESIDENT[name]
        if self._device.type == "cuda" and self._bytes > RESIDENT_SHARE * torch.cuda.mem_get_info(self._device)[0]:
            return None
        while len(_RESIDENT) >= _RESIDENT_PARTS:
            _RESIDENT.popitem(last=False)
        try:
            return _RESIDENT.setdefault(name, self._moved())
        except RuntimeError as error:  # another process took what was free
            if not out_of_memory(error):
                raise
        give_back(str(self._device))
        return None

    def _moved(self) -> torch.Tensor:
        height, width, channels = self._images.shape[1:]
        rows = torch.empty(len(self._rows), channels, height, width, dtype=torch.uint8, device=self._device)
        step = max(1, BLOCK_BYTES // (height * width * channels))
        for start in range(0, len(rows), step):  # the machine's memory need not hold what a GPU's can
            block = torch.from_numpy(self._images[self._rows[start : start + step]])
            rows[start : start + step] = block.permute(0, 3, 1, 2)
        return rows


def free_memory() -> int:
    """Return the bytes of memory that are free, or the limit of this process's control groups where that is less."""
    found = [psutil.virtual_memory().available]
    with suppress(OSError):  # elsewhere than on Linux
        for line in OWN_GROUPS.read_text().splitlines():
            _, kinds, own = line.split(":", 2)
            if kinds not in ("", "memory"):
                continue
            top, limit = (GROUPS / kinds, "memory.limit_in_bytes") if kinds else (GROUPS, "memory.max")
            folder = top / own.lstrip("/")
            for group in (folder, *folder.parents[: len(folder.relative_to(top).parts)]):
                with suppress(OSError, ValueError):  # a group that is not seen from here; no limit is "max"
                    found.append(int((group / limit).read_text()))
    return min(found)


Item = TypeVar("Item")
Made = TypeVar("Made")


def ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """Yield ``make(item)`` for each item in order, made by one thread up to `AHEAD` before they are asked for.

    What ``make`` raises is raised where its result would have come. The thread ends with the generator.
    """
    with ThreadPoolExecutor(1, "ahead") as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
