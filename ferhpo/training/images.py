"""Stored uint8 rows to float batches on the training device, and where the rows lie meanwhile."""

from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch
from torch.nn import functional

RESIDENT_SHARE = 0.4  # of a GPU's free memory that one part's rows may take; beyond, they are streamed
_RESIDENT: OrderedDict[tuple[str, str], torch.Tensor] = OrderedDict()  # (key, device) -> rows; kept for the next trial
_RESIDENT_PARTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What is done to an image before a net sees it.

    Args:
        stored_size: pixels a side of the prepared images.
        image_size: pixels a side that the net sees.
        channels: 1 or 3.
        mean: one a channel, of images scaled to 0..1.
        std: likewise.
        mirror: a prediction is the mean over the image and its mirror image.
    """

    stored_size: int
    image_size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mirror: bool

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name, ready for JSON."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Build from what `to_json` returned; raises TypeError or KeyError for anything else."""
        moments = {key: tuple(fields[key]) for key in ("mean", "std")}
        return cls(**{**fields, **moments})

    def scaled(self, images: torch.Tensor) -> torch.Tensor:
        """Return uint8 B x C x S x S as float32 in 0..1 at the size that the net sees (bilinear, antialiased)."""
        x = images.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
        if x.shape[-1] != self.image_size or x.shape[-2] != self.image_size:
            x = functional.interpolate(x, (self.image_size, self.image_size), mode="bilinear", antialias=True)
        return x

    def normalise(self, x: torch.Tensor) -> torch.Tensor:
        """Return (x - mean) / std a channel, in place."""
        mean, std = (torch.tensor(v, device=x.device)[:, None, None] for v in (self.mean, self.std))
        return x.sub_(mean).div_(std)


class Rows:
    """Rows of an image array, by their position among ``rows``.

    On a GPU they are moved there once and kept for the next trial of the process if they fit; on a CPU, and if they do
    not fit, a batch is gathered from the memory-mapped array.

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

    def _settle(self, key: str) -> torch.Tensor | None:
        name = (key, str(self._device))
        if name in _RESIDENT:
            _RESIDENT.move_to_end(name)
            return _RESIDENT[name]
        size = len(self._rows) * int(np.prod(self._images.shape[1:]))
        if self._device.type == "cuda" and size > RESIDENT_SHARE * torch.cuda.mem_get_info(self._device)[0]:
            return None
        while len(_RESIDENT) >= _RESIDENT_PARTS:
            _RESIDENT.popitem(last=False)
        rows = torch.from_numpy(self._images[self._rows]).permute(0, 3, 1, 2).contiguous().to(self._device)
        return _RESIDENT.setdefault(name, rows)
