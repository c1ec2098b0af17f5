"""An image set as it was read: what every format returns and every later step begins with."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ferhpo.errors import DataError

EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # codes 0 to 6 of fer2013.csv
ROLES = {  # what a split name found in the data (in lower case) stands for
    "": "train",
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "publictest": "val",
    "test": "test",
    "privatetest": "test",
}
MAX_PIXELS = 1 << 26  # an image file with more is refused before it fills the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class RawData:
    """Images with labels and the split names that came with them.

    Args:
        images: uint8, rows x height x width x channels (1 or 3).
        labels: int64, rows, index into classes.
        classes: class names, in the order of the labels.
        part: unicode, rows, the data's own split name ("Training", "train", ...), "" where there is none.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    part: np.ndarray


def role(part: str) -> str:
    """Return ``"train"``, ``"val"`` or ``"test"`` for a split name found in the data.

    Raises:
        KeyError: it is no known split name.
    """
    return ROLES[part.lower()]


def parts(raw: RawData) -> list[str]:
    """Return the data's own split names, training first and test last."""
    order = ("train", "val", "test")
    return sorted(map(str, np.unique(raw.part)), key=lambda part: (order.index(role(part)), part))


def fingerprint(raw: RawData) -> str:
    """Return a SHA-256 over what was decoded (images, labels, classes, split names), the same wherever it lay."""
    digest = hashlib.sha256()
    for text in (f"{raw.images.shape}", "\x1f".join(raw.classes), "\x1f".join(raw.part.tolist())):
        digest.update(f"{len(text)}:{text}".encode())
    digest.update(np.ascontiguousarray(raw.labels, dtype="<i8").data)
    digest.update(np.ascontiguousarray(raw.images).data)
    return digest.hexdigest()


def resized(images: np.ndarray, size: int, channels: int) -> np.ndarray:
    """Return grey images (rows x height x width) as rows x size x size x channels.

    A grey value is repeated into all channels.
    """
    if images.shape[1:] != (size, size):
        side = (size, size)
        images = np.stack([np.asarray(Image.fromarray(i).resize(side, Image.Resampling.BILINEAR)) for i in images])
    return np.repeat(images[..., None], channels, axis=3) if channels > 1 else images[..., None]


def read_image(path: Path, size: int, channels: int) -> np.ndarray:
    """Read an image file, upright, as uint8 size x size x channels (1: grey, 3: RGB).

    Raises:
        DataError: it is missing, no image, or damaged.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                got = f"{image.width}x{image.height}"
                msg = f"{path}: an image must have at most {MAX_PIXELS:,} pixels, got {got}; scale it down"
                raise DataError(msg)
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16"):  # Pillow would clip 16 bits to white
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            upright = upright.convert("L" if channels == 1 else "RGB")
            if upright.size != (size, size):
                upright = upright.resize((size, size), Image.Resampling.BILINEAR)
            return np.asarray(upright).reshape(size, size, channels)
    except FileNotFoundError:
        msg = f"{path}: there is no such image; check the path"
        raise DataError(msg) from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        msg = f"{path}: an image must be readable, got '{error}'; replace or delete the file"
        raise DataError(msg) from None
