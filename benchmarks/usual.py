"""The training loop as people write it today: class folders, PIL transforms, a DataLoader, fp32, NCHW."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from ferhpo.data.cache import Part


def write_folders(part: Part, classes: tuple[str, ...], folder: Path) -> Path:
    """Write the images of a part as ``folder/CLASS/ROW.png`` and return the folder."""
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for row, label in zip(part.rows, part.labels, strict=True):
        Image.fromarray(np.asarray(part.images[row]).squeeze()).save(folder / classes[label] / f"{row}.png")
    return folder


def loader(folder: Path, batch: int, *, size: int, training: bool, strength: float = 0.4) -> DataLoader[Any]:
    """Return a DataLoader with two workers over class folders; it augments in the ways that ferhpo's dial has."""
    s = strength
    light = transforms.ColorJitter(brightness=0.4 * s, contrast=0.6 * s)
    move = transforms.RandomAffine(degrees=30 * s, translate=(0.25 * s, 0.25 * s), scale=(1 - 0.3 * s, 1 + 0.3 * s))
    drawn = [transforms.RandomHorizontalFlip(min(s, 0.5)), move, light] if training else []
    steps = [transforms.Grayscale(1), transforms.Resize((size, size)), *drawn, transforms.ToTensor()]
    steps += [transforms.Normalize([0.5], [0.25])] + ([transforms.RandomErasing(p=s)] if training else [])
    images = datasets.ImageFolder(str(folder), transforms.Compose(steps))
    return DataLoader(images, batch_size=batch, shuffle=training, num_workers=2)


def epoch(
    model: nn.Module,
    batches: DataLoader[Any],
    optimizer: torch.optim.Optimizer,
    device: str = "cpu",
    *,
    loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = nn.functional.cross_entropy,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
) -> float:
    """Train one pass and return images a second; ``schedule`` is asked after every step."""
    model.train()
    start, seen = time.perf_counter(), 0
    for x, y in batches:
        loss = loss_of(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        loss.item()  # most loops print a running loss
        seen += len(x)
    return seen / (time.perf_counter() - start)


@torch.no_grad()
def accuracy(model: nn.Module, batches: DataLoader[Any], device: str = "cpu") -> float:
    """Return the share of right predictions."""
    model.eval()
    right = sum(int((model(x.to(device)).argmax(1) == y.to(device)).sum()) for x, y in batches)
    return right / len(batches.dataset)  # pyright: ignore[reportArgumentType]
