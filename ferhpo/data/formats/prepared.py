"""A folder that `ferhpo data prepare` wrote: images, labels and splits, to be used by any study."""

from pathlib import Path

import numpy as np
from PIL import Image

from ferhpo._layout import PREPARED
from ferhpo.data.join import copied
from ferhpo.data.pixels import new_images
from ferhpo.data.raw import RawData, stored, upright
from ferhpo.data.splits import DROPPED, NAMES
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec


def matches(path: Path) -> bool:
    """Tell whether ``path`` is such a folder."""
    return (path / PREPARED).is_file()


def read(path: Path, spec: DataSpec) -> RawData:
    """Read it, with its splits as the data's own; images are brought to the size and channels of ``spec``.

    Raises:
        DataError: it does not add up, or its samples have another number of frames.
    """
    from ferhpo.data.cache import open_prepared  # which reads every format, this one too

    found = open_prepared(path)
    sequences = max(found.frames, spec.frames) > 1
    if found.frames != spec.frames or (sequences and found.images.shape[1:] != _shape(spec)):
        got = f"{found.frames} at {found.images.shape[1:]}"
        wanted = f"{spec.frames} frames a sample at {_shape(spec)}"
        msg = f"{path}: prepared images must have {wanted}, got {got}; set frames, size and channels of [data] to these"
        raise DataError(msg)
    split = np.asarray(found.split)
    rows = np.flatnonzero(split != DROPPED)
    by_code = {code: name for name, code in NAMES.items()}
    return RawData(
        images=_fitted(found.images, rows, spec),
        labels=np.asarray(found.labels)[rows],
        classes=found.classes,
        part=np.array([by_code[code] for code in split[rows].tolist()]),
        group=np.asarray(found.group)[rows].astype(np.int64),
        soft=None if found.soft is None else np.asarray(found.soft)[rows],
    )


def _shape(spec: DataSpec) -> tuple[int, int, int]:
    return spec.size, spec.size, spec.channels * spec.frames


def _fitted(images: np.ndarray, rows: np.ndarray, spec: DataSpec) -> np.ndarray:
    if images.shape[1:] == _shape(spec):
        return copied([images], [rows])
    fitted = new_images(len(rows), spec.size, spec.channels)
    for place, row in enumerate(rows):
        one = images[row]
        image = Image.fromarray(one[..., 0] if one.shape[-1] == 1 else one)
        fitted[place] = stored(upright(image, spec.channels), spec.size, spec.channels)
    return fitted
