"""The training loop as people write it today: class folders, PIL transforms, a DataLoader, fp32, NCHW."""

import time
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


def loader(folder: Path, batch: int, *, size: int, training: bool) -> DataLoader[Any]:
    """Return a DataLoader with two workers over class folders; it augments in the ways that ferhpo's dial has."""
    light = transforms.ColorJitter(brightness=0.2, contrast=0.2)
    move = transforms.RandomAffine(degrees=12, translate=(0.1, 0.1), scale=(0.88, 1.12))
    drawn = [transforms.RandomHorizontalFlip(), move, light] if training else []
    steps = [transforms.Grayscale(1), transforms.Resize((size, size)), *drawn, transforms.ToTensor()]
    steps += [transforms.Normalize([0.5], [0.25])] + ([transforms.RandomErasing(p=0.5)] if training else [])
    images = datasets.ImageFolder(str(folder), transforms.Compose(steps))
    return DataLoader(images, batch_size=batch, shuffle=training, num_workers=2)


def epoch(model: nn.Module, batches: DataLoader[Any], optimizer: torch.optim.Optimizer, device: str = "cpu") -> float:
    """Train one pass and return images a second."""
    model.train()
    start, seen = time.perf_counter(), 0
    for x, y in batches:
        loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # most loops print a running loss
        seen += len(x)
    return seen / (time.perf_counter() - start)


@torch.no_grad()
def accuracy(model: nn.Module, batches: DataLoader[Any], device: str = "cpu") -> float:
    """Return the share of right predictions."""
    model.eval()
    right = sum(int((model(x.to(device)).argmax(1) == y.to(device)).sum()) for x, y in batches)
    return right / len(batches.dataset)  # pyright: ignore[reportArgumentType]
