"""CK+: the release, and CK+48; both are grouped by person, since frames of one sequence are nearly the same image.

    cohn-kanade-images/S005/001/S005_001_00000011.png    frames of a sequence, from neutral to the peak
    Emotion/S005/001/S005_001_00000011_emotion.txt       one number like 3.0000000e+00, for 327 sequences

    {anger,contempt,disgust,fear,happy,sadness,surprise}/S010_004_00000017.png    CK+48: 981 frames, no neutral; also
                                                                                  below train/, val/ and test/

Of the release the last three frames of each labelled sequence are read, which are those of CK+48. With ``frames`` of
the `DataSpec` above 1 a sample is a sequence instead: so many frames of it, evenly from its first to its last.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ferhpo.data.formats import folders
from ferhpo.data.formats.annotations import label_of, lines
from ferhpo.data.listing import Listing, decode, fitting, is_image, listing
from ferhpo.data.pixels import new_images
from ferhpo.data.raw import ROLES, RawData, read_image
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec

EMOTIONS = ("neutral", "angry", "contempt", "disgust", "fear", "happy", "sad", "surprise")
NAMES = {str(code): name for code, name in enumerate(EMOTIONS)}
IMAGES = ("cohn-kanade-images", "extended-cohn-kanade-images/cohn-kanade-images")
LABELS = ("Emotion", "Emotion_labels/Emotion")
FRAMES = 3  # of a sequence, its last ones
FRAME = re.compile(r"(S\d{3})_\d{3}_\d{8}\.png", re.IGNORECASE)
SEQUENCE = re.compile(r"_\d{8}\.png$", re.IGNORECASE)  # what a frame's name has behind its sequence's


def matches(path: Path) -> bool:
    """Tell whether ``path`` is a folder of the release, or class folders with frames of CK+."""
    if _first(path, IMAGES):
        return True
    tops = _subfolders(path)
    classes = [*tops, *(folder for top in tops if top.name.lower() in ROLES for folder in _subfolders(top))]
    frame = next((file for folder in classes for file in _images(folder)[:1]), None)
    return frame is not None and bool(FRAME.fullmatch(frame.name))


def find(path: Path, *, every: bool = False) -> Listing:
    """List the frames, with the person as group; of the release ``every`` one of each labelled sequence.

    Raises:
        DataError: an annotation breaks a rule or has no frames, or there is none.
    """
    images = _first(path, IMAGES)
    if images is None:
        found = folders.find(path)
        return replace(found, group=np.unique([_person(f) for f in found.files], return_inverse=True)[1].astype("i8"))
    labels = _first(path, LABELS)
    rows = [] if labels is None else list(_labelled(images, labels, every=every))
    if not rows:
        msg = f"{path}: CK+ must have Emotion/S.../.../*_emotion.txt beside {IMAGES[0]}, got none; unpack them there"
        raise DataError(msg)
    files = [file for file, _ in rows]
    return listing(files, [name for _, name in rows], group=[_person(file) for file in files])


def read(path: Path, spec: DataSpec) -> RawData:
    """Read what `find` finds, as stills or as sequences; raises as it does."""
    found = find(path, every=spec.frames > 1)
    return decode(found, spec) if spec.frames == 1 else _sequences(found, spec)


def _sequences(found: Listing, spec: DataSpec) -> RawData:
    """Return one sample a sequence, whose frames lie one after the other in its channels; its file is the last."""
    of: dict[Path, list[int]] = {}
    for row, file in enumerate(found.files):
        of.setdefault(file.with_name(SEQUENCE.sub("", file.name)), []).append(row)
    picked = [np.array(rows)[np.linspace(0, len(rows) - 1, spec.frames).round().astype(int)] for rows in of.values()]
    peaks = found.only(np.array([rows[-1] for rows in picked]))
    images = new_images(len(picked), spec.size, spec.channels * spec.frames)
    for sample, rows in enumerate(picked):
        for frame, row in enumerate(rows):
            channels = slice(frame * spec.channels, (frame + 1) * spec.channels)
            images[sample, :, :, channels] = read_image(found.files[row], spec.size, spec.channels)
    return RawData(
        images=images,
        labels=peaks.labels,
        classes=peaks.classes,
        part=peaks.part,
        group=peaks.group,
        files=peaks.files,
        left_out=peaks.left_out,
    )


def _labelled(images: Path, labels: Path, *, every: bool) -> Iterable[tuple[Path, str]]:
    for annotation in fitting(labels, "*/*/*_emotion.txt"):
        folder = images / annotation.parent.relative_to(labels)
        frames = fitting(folder, "*.png")
        if not frames:
            msg = f"{annotation}: every annotation needs its images, got none in {folder}; unpack them there"
            raise DataError(msg)
        text = " ".join(content.strip() for _, content in lines(annotation))
        try:
            code = str(int(float(text)))
        except (ValueError, OverflowError):  # int() of inf
            code = text
        name = label_of(code, NAMES, annotation, 1)
        for frame in frames if every else frames[-FRAMES:]:
            yield frame, name


def _person(file: Path) -> str:
    return file.name.partition("_")[0].upper()


def _first(path: Path, names: Iterable[str]) -> Path | None:
    return next((path / name for name in names if (path / name).is_dir()), None)


def _images(folder: Path) -> list[Path]:
    return sorted(filter(is_image, folder.iterdir()))


def _subfolders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
