"""An image set as it was read: what every format returns and every later step begins with."""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

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
    "testing": "test",
    "privatetest": "test",
}
MAX_PIXELS = 1 << 26  # an image file with more is refused before it fills the memory, where Pillow only warns
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawData:
    """Images with labels and the split names that came with them.

    Args:
        images: uint8, rows x height x width x channels (1 or 3, as many for each frame of a sequence).
        labels: int64, rows, index into classes.
        classes: class names, in the order of the labels.
        part: unicode, rows, the data's own split name ("Training", "train", ...), "" where there is none.
        group: int64, rows, equal for rows that must stay in one split (a person, a photograph); None where unknown.
        soft: float32, rows x classes, shares of the people who labelled, summing to 1; None where labels are all.
        files: path of each row's image, None where rows are no files.
        left_out: images that the reader left out, by why (see `summary.REASONS`).
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    part: np.ndarray
    group: np.ndarray | None = None
    soft: np.ndarray | None = None
    files: tuple[Path, ...] | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)


def role(part: str) -> str:
    """Return ``"train"``, ``"val"`` or ``"test"`` for a split name found in the data.

    Raises:
        KeyError: it is no known split name.
    """
    return ROLES[part.lower()]


def seems_grey(channels: int, frames: int, mean: Sequence[float], std: Sequence[float]) -> bool:
    """Tell from the moments of training images whether they are grey stills kept with three channels: these agree."""
    alike = all(len(values) == 3 and max(values) - min(values) < 1e-9 for values in (mean, std))
    return channels == 3 and frames == 1 and alike


def parts(raw: RawData) -> list[str]:
    """Return the data's own split names, training first and test last."""
    order = ("train", "val", "test")
    return sorted(map(str, np.unique(raw.part)), key=lambda part: (order.index(role(part)), part))


def counts(raw: RawData, rows: np.ndarray) -> dict[str, int]:
    """Return how many of ``rows`` (places, or bool a row) each class has, by its name."""
    return dict(zip(raw.classes, np.bincount(raw.labels[rows], minlength=len(raw.classes)).tolist(), strict=True))


def fingerprint(raw: RawData) -> str:
    """Return a SHA-256 over what was decoded (images, labels, classes, split names), the same wherever it lay."""
    digest = hashlib.sha256()
    for text in (f"{raw.images.shape}", "\x1f".join(raw.classes), "\x1f".join(raw.part.tolist())):
        digest.update(f"{len(text)}:{text}".encode())
    digest.update(np.ascontiguousarray(raw.labels, dtype="<i8").data)
    for name, array, kind in (("group", raw.group, "<i8"), ("soft", raw.soft, "<f4")):
        if array is not None:
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array, dtype=kind).data)
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


def upright(image: Image.Image, channels: int, name: object = "an image") -> Image.Image:
    """Return an image turned as its camera says, in grey (1 channel) or RGB (3).

    Args:
        image: as it was opened.
        channels: 1 or 3.
        name: what a message calls it.

    Raises:
        DataError: its pixels are floats, or of 32 bits and no bytes: which value is white, nothing says.
    """
    turned = ImageOps.exif_transpose(image)
    if turned.mode in {"F", "I"}:  # Pillow would clip them, floats from 0 to 1 to black
        low, high = cast("tuple[float, float]", turned.getextrema())
        if turned.mode == "F" or low < 0 or high > 255:
            kind = "floats" if turned.mode == "F" else "32-bit numbers"
            msg = f"{name}: only 8- and 16-bit images can be read, got {kind} from {low:g} to {high:g}; convert it"
            raise DataError(msg)
    if turned.mode.startswith("I;16"):  # Pillow would clip 16 bits to white
        turned = Image.fromarray((np.asarray(turned) >> 8).astype(np.uint8))
    if isinstance(turned.info.get("transparency"), bytes):  # of a palette, from which Pillow asks for this step
        turned = turned.convert("RGBA")
    return turned.convert("L" if channels == 1 else "RGB")


def stored(image: Image.Image, size: int, channels: int) -> np.ndarray:
    """Return a grey or RGB image as uint8 size x size x channels."""
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(size, size, channels)


def picture(image: Image.Image, size: int, channels: int) -> np.ndarray:
    """Return an image that somebody opened as `read_image` does a file's.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return stored(upright(image, channels), size, channels)
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - as of files
        msg = f"an image must be readable, got '{error}'; open it again or leave it out"
        raise DataError(msg) from None


def read_image(
    path: Path | BinaryIO, size: int, channels: int, box: tuple[int, int, int, int] | None = None
) -> np.ndarray:
    """Read an image file, upright, as uint8 size x size x channels (1: grey, 3: RGB).

    Args:
        path: the file, or its content; what it says as text stands in the message of an error.
        size: pixels a side to which it is brought.
        channels: 1 or 3.
        box: left, top, right, bottom of the part that is taken, in pixels; what lies outside the image is cut off.

    Raises:
        DataError: it is missing, no image, or damaged, or nothing of it lies in the box.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                got = f"{image.width}x{image.height}"
                msg = f"{path}: an image must have at most {MAX_PIXELS:,} pixels, got {got}; scale it down"
                raise DataError(msg)
            found = upright(image, channels, path)
            if box is not None:
                found = found.crop(_inside(box, found, path))
            return stored(found, size, channels)
    except DataError:
        raise
    except FileNotFoundError:
        msg = f"{path}: there is no such image; check the path"
        raise DataError(msg) from None
    except Exception as error:  # noqa: BLE001 - Pillow raises whatever a damaged file leads it to, struct.error too
        msg = f"{path}: an image must be readable, got '{error}'; replace or delete the file"
        raise DataError(msg) from None


def _inside(box: tuple[int, int, int, int], image: Image.Image, path: Path | BinaryIO) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    cut = max(left, 0), max(top, 0), min(right, image.width), min(bottom, image.height)
    if cut[2] <= cut[0] or cut[3] <= cut[1]:
        got = f"left {left}, top {top}, right {right}, bottom {bottom} in {image.width}x{image.height}"
        msg = f"{path}: the box of a face must lie in its image, got {got}; correct or delete the annotation"
        raise DataError(msg)
    return cut
