"""What a user hands over, files, pictures or arrays, as the uint8 rows that members were trained on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from ferhpo.data.formats.folders import scan
from ferhpo.data.listing import EXTENSIONS
from ferhpo.data.raw import picture, read_image
from ferhpo.ensemble.members import GREY
from ferhpo.errors import DataError, UsageError


def find(paths: Iterable[Path]) -> list[Path]:
    """Return the files meant: each file itself, whatever its ending; the images below each folder, but hidden ones.

    Raises:
        DataError: a folder holds no image, or cannot be read.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [path / picture.name for picture in scan(path)]
        if not inside:
            msg = f"{path}: a folder must hold images ({', '.join(EXTENSIONS)}), got none; check the path"
            raise DataError(msg)
        found += inside
    return found


def batches(
    paths: Sequence[Path], preprocessing: Mapping[str, Any], size: int
) -> Iterator[tuple[list[Path], np.ndarray, list[DataError]]]:
    """Read image files, so many at a time; what cannot be read is left out and said.

    Args:
        paths: the files.
        preprocessing: an ensemble's.
        size: files a batch.

    Yields:
        The files that were read, their images (see `rows`), and what the others failed with.

    Raises:
        UsageError: the ensemble takes sequences, which are no files.
    """
    _stills(preprocessing)
    for start in range(0, len(paths), size):
        read, images, failed = [], [], []
        for path in paths[start : start + size]:
            try:
                images.append(_row(path, preprocessing))
                read.append(path)
            except DataError as error:
                failed.append(error)
        yield read, _stacked(images, preprocessing), failed


def rows(images: Any, preprocessing: Mapping[str, Any]) -> np.ndarray:
    """Return uint8, rows x stored_size x stored_size x channels.

    Args:
        images: uint8 rows x height x width (x 1 or 3), or rows x (stored_size * stored_size * channels), as
            scikit-learn keeps images; or a sequence of paths, Pillow images and arrays of one image each, of any size.
            What has another size is scaled as training images were, colour becomes grey and grey is repeated. For an
            ensemble of sequences an array alone: its frames one after the other in the channels, at the stored size.
        preprocessing: the ensemble's.

    Raises:
        UsageError: it is none of these.
        DataError: a file cannot be read; the message names it.
    """
    size, channels = preprocessing["stored_size"], preprocessing["channels"]
    if isinstance(images, np.ndarray):
        if images.dtype != np.uint8:
            _refuse("an array of", images.dtype)
        if images.ndim == 2 and images.shape[1] == size * size * channels:
            images = images.reshape(-1, size, size, channels)
        if images.ndim == 4 and images.shape[1:] == (size, size, channels) and not preprocessing.get(GREY):
            return images
        if images.ndim not in (3, 4) or 0 in images.shape[1:]:
            _refuse("an array of shape", images.shape)
        if images.ndim == 3 and images.shape[2] in (1, 3):  # which as many narrow grey ones would be
            _refuse("one image of shape", images.shape)
    elif isinstance(images, str | bytes | Path | Image.Image) or not hasattr(images, "__len__"):
        _refuse("one", type(images).__name__)
    _stills(preprocessing)
    return _stacked([_row(image, preprocessing) for image in images], preprocessing)


def _stacked(found: list[np.ndarray], preprocessing: Mapping[str, Any]) -> np.ndarray:
    size, channels = preprocessing["stored_size"], preprocessing["channels"]
    if preprocessing.get(GREY):
        found = [np.repeat(image, channels, axis=-1) for image in found]
    return np.array(found, np.uint8).reshape(-1, size, size, channels)


def _row(image: Any, preprocessing: Mapping[str, Any]) -> np.ndarray:
    size, channels = preprocessing["stored_size"], 1 if preprocessing.get(GREY) else preprocessing["channels"]
    if isinstance(image, str | Path):
        return read_image(Path(image), size, channels)
    if isinstance(image, Image.Image):
        return picture(image, size, channels)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        _refuse("among them", type(image).__name__)
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (1,), (3,)) or not image.size:
        _refuse("an image of shape", image.shape)
    pixels = image[..., 0] if image.shape[2:] == (1,) else image
    return picture(Image.fromarray(pixels), size, channels)


def _stills(preprocessing: Mapping[str, Any]) -> None:
    frames = preprocessing.get("frames", 1)
    if frames > 1:
        side, channels = preprocessing["stored_size"], preprocessing["channels"]
        shape = f"rows x {side} x {side} x {channels}"
        msg = f"this ensemble takes sequences of {frames} frames, got single images; give a uint8 array, {shape}"
        raise UsageError(msg)


def _refuse(what: str, got: object) -> NoReturn:
    msg = (
        "images must be a uint8 array, rows x height x width (x 1 or 3), or a list of paths, Pillow images or such "
        f"arrays, got {what} {got}; put it into that form"
    )
    raise UsageError(msg)
