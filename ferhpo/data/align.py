"""Faces turned and scaled so that the eyes stand where they stand in all others.

Finding the eyes is OpenCV's work, with the cascades that its wheel brings; what follows from them is done here.
"""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from PIL import Image

from ferhpo.data.join import copied
from ferhpo.data.raw import RawData
from ferhpo.errors import UsageError

Eyes = tuple[complex, complex]  # the left and the right one as seen in the image: x + iy, shares of its side
Finder = Callable[[np.ndarray], Eyes | None]
WANTED: Eyes = (0.3 + 0.38j, 0.7 + 0.38j)
STEEPEST = 0.6  # slope between two eyes; beyond, one of them is something else (31 degrees)
APART = (0.25, 0.7)  # between two eyes, shares of the side
FINDING = 192  # pixels a side to which smaller images are enlarged for finding


def aligned(raw: RawData, find: Finder) -> tuple[RawData, int]:
    """Return a set with its faces aligned, and in how many of them the eyes were found; the others stay as they are.

    Args:
        raw: uint8 images, rows x side x side x 1 or 3; left as they are.
        find: returns the eyes of one grey image, None where there are none.
    """
    images, found = copied([raw.images], [np.arange(len(raw.images))]), 0
    for row, image in enumerate(raw.images):
        eyes = find(_grey(image))
        if eyes is not None:
            images[row] = turned(image, eyes)
            found += 1
    return replace(raw, images=images), found


def turned(image: np.ndarray, eyes: Eyes) -> np.ndarray:
    """Return an image, side x side x channels, turned, scaled and moved so that its eyes stand at `WANTED`.

    What comes in from outside repeats the border.
    """
    side, margin = image.shape[0], image.shape[0]
    (left, right), (to_left, to_right) = eyes, WANTED
    turn = (right - left) / (to_right - to_left)  # a similarity z -> turn z + shift, from the result into the image
    shift = (left - turn * to_left) * side + complex(margin, margin)
    edged = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    picture = Image.fromarray(edged[..., 0] if image.shape[-1] == 1 else edged)
    places = (turn.real, -turn.imag, shift.real, turn.imag, turn.real, shift.imag)
    moved = picture.transform((side, side), Image.Transform.AFFINE, places, Image.Resampling.BILINEAR)
    return np.asarray(moved).reshape(image.shape)


def eyes_among(boxes: np.ndarray, side: int) -> Eyes | None:
    """Return the pair among boxes of possible eyes that looks most like two eyes, None if none does.

    Args:
        boxes: n x 4: left, top, width, height in pixels.
        side: pixels of the image.
    """
    centres = [complex(x + w / 2, y + h / 2) / side for x, y, w, h in np.asarray(boxes, float).reshape(-1, 4)]
    pairs = []
    for left in centres:
        for right in centres:
            across = right - left
            if across.real <= 0 or abs(across.imag) > STEEPEST * across.real:
                continue
            if APART[0] <= abs(across) <= APART[1] and max(left.imag, right.imag) < 0.6:
                pairs.append((abs((left + right) / 2 - sum(WANTED) / 2) + abs(across.imag), (left, right)))
    return min(pairs, key=lambda pair: pair[0])[1] if pairs else None


def finder() -> Finder:
    """Return OpenCV's cascade for eyes as a `Finder`.

    Raises:
        UsageError: OpenCV is missing, or one without cascades.

    References:
        Viola and Jones 2001, Rapid Object Detection using a Boosted Cascade of Simple Features.
    """
    cascade = _cascade() if find_spec("cv2") else None
    if cascade is None:
        got = "another" if find_spec("cv2") else "none"
        msg = (
            f"--align needs OpenCV 4, which brings its cascade for eyes, got {got}; in ferhpo's clone run pip install "
            "'.[align]'"
        )
        raise UsageError(msg)

    def find(grey: np.ndarray) -> Eyes | None:
        side = max(FINDING, grey.shape[0])
        large = Image.fromarray(grey).resize((side, side), Image.Resampling.BICUBIC)
        boxes = cascade.detectMultiScale(np.asarray(large), 1.05, 3, minSize=(side // 10, side // 10))
        return eyes_among(np.asarray(boxes), side)

    return find


def _cascade() -> Any:
    cv2 = import_module("cv2")
    try:
        found = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_eye.xml")
    except (AttributeError, cv2.error):
        return None
    return None if found.empty() else found


def _grey(image: np.ndarray) -> np.ndarray:
    return image[..., 0] if image.shape[-1] == 1 else np.asarray(Image.fromarray(image).convert("L"))
