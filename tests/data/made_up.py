"""Small image sets for these tests: csv files, folders of files, arrays."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ferhpo.data.raw import RawData


def faces(count: int, side: int = 48, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Return ``count`` different random images, uint8."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def raw(labels: Sequence[int], part: Sequence[str] | str = "", images: np.ndarray | None = None) -> RawData:
    """Return a set with 4x4 images, all different unless given."""
    labels_n = np.array(labels, np.int64)
    names = np.array([part] * len(labels_n) if isinstance(part, str) else part)
    return RawData(
        images=faces(len(labels_n), 4) if images is None else images,
        labels=labels_n,
        classes=tuple(f"class{i}" for i in range(int(labels_n.max()) + 1)),
        part=names,
    )


def row(emotion: object, usage: str = "Training", pixels: str | None = None, seed: int = 0) -> str:
    """Return a line of fer2013.csv without its line break."""
    text = " ".join(map(str, faces(1, seed=seed).ravel())) if pixels is None else pixels
    return f"{emotion},{text},{usage}"


NO_CSV = [  # what may be added to a csv so that it is none, and what is said of the row where it stands
    (b'"' + b"x\n" * 80_000, "a row must be valid csv, got 'field larger than field limit"),
    (b"\xe9\n", "a csv must be UTF-8, got the byte 0xE9"),
]


def spoilt(path: Path, content: bytes) -> Path:
    """Add what is no csv to a file."""
    with path.open("ab") as file:
        file.write(content)
    return path


def write_csv(path: Path, rows: Iterable[str], header: str = "emotion,pixels,Usage") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def small_csv(path: Path) -> Path:
    """Write 60 training, 20 PublicTest and 20 PrivateTest rows of three classes, all images different."""
    usages = ["Training"] * 60 + ["PublicTest"] * 20 + ["PrivateTest"] * 20
    return write_csv(path, (row((0, 3, 6)[i % 3], usage, seed=i) for i, usage in enumerate(usages)))


def write_images(root: Path, names: Iterable[str], side: int = 12, mode: str = "L") -> Path:
    """Write a different random image under each name."""
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = faces(1, side, 1 if mode == "L" else 3, seed)[0]
        Image.fromarray(pixels[..., 0] if mode == "L" else pixels).save(root / name)
    return root
