"""Prepared images: parsed once, then memory-mapped by every trial of the machine.

    CACHE/KEY/  images.npy labels.npy split.npy group.npy  and prepared.json: classes, fingerprint, mean, std, counts

KEY is made of the source (absolute path, sizes and times of its files) and the `DataSpec`. A folder appears in one
rename under a lock, so that many processes may prepare the same images at once; one that does not add up is made anew.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ferhpo import _atomic
from ferhpo._layout import PREPARED
from ferhpo.data import load, splits, synthetic
from ferhpo.data.pixels import images_in, keep_images
from ferhpo.data.raw import RawData, counts, fingerprint, seems_grey
from ferhpo.errors import DataError, UsageError
from ferhpo.space.files import absolute
from ferhpo.space.sections import DataSpec

VERSION = 1  # raise it when what is stored, or how it is computed from the source, changes
JOINED = 4  # likewise, of sets with ``also`` alone; this and the next are in KEY only
READ = {"folders": 2, "table": 2}  # likewise, of one format alone
ARRAYS = {"images": np.uint8, "labels": np.int64, "split": np.int8, "group": np.int32, "soft": np.float32}
OPTIONAL = "soft"  # an array that not every set has
MIN_STD = 1 / 255
BLOCK_BYTES = 1 << 19  # of images, which counting makes eightfold


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The rows of one split.

    Args:
        images: uint8, all rows of the set x height x width x channels, memory-mapped: index it with ``rows``.
        rows: int64, the places of this part's rows in ``images``, ascending.
        labels: int64, one per row of the part.
        groups: int32, one per row of the part, equal for identical images.
        name: train, val or test.
    """

    images: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An image set that is ready to train on.

    Args:
        folder: where it is stored; `open_prepared` opens it again, in any process.
        format: one of `sections.FORMATS` but auto.
        source: absolute path of what was read, None for rendered images.
        classes: names in the order of the labels.
        fingerprint: SHA-256 of the decoded content (see `raw.fingerprint`).
        mean, std: of the train split per channel, images scaled to 0..1; std is at least 1/255.
        counts: train, val and test -> class -> rows.
        dropped: rows left out, by why (see `splits.Splits` and `RawData.left_out`).
        images, labels, split, group: memory-mapped arrays over all rows, read-only.
        soft: as they, float32, rows x classes: shares of the people who labelled; None where only labels are known.
        further: absolute paths of what was read beside the source: ``also`` and ``images`` of the `DataSpec`.
        frames: of a sample, one after the other in the channels; 1 for stills.
    """

    folder: Path
    format: str
    source: Path | None
    classes: tuple[str, ...]
    fingerprint: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    counts: dict[str, dict[str, int]]
    dropped: dict[str, int]
    images: np.ndarray
    labels: np.ndarray
    split: np.ndarray
    group: np.ndarray
    soft: np.ndarray | None = None
    further: Mapping[str, Any] = field(default_factory=dict)
    frames: int = 1

    @property
    def split_digest(self) -> str:
        """SHA-256 of which row is in which split: images of one fingerprint may be split in several ways."""
        return hashlib.sha256(np.ascontiguousarray(self.split, np.int8).tobytes()).hexdigest()

    @property
    def grey(self) -> bool:
        """Tell whether the training images are grey stills kept with three channels."""
        return seems_grey(self.images.shape[-1], self.frames, self.mean, self.std)

    def part(self, name: Literal["train", "val"]) -> Part:
        """Return the training or the validation rows.

        Raises:
            UsageError: another split is asked for; the test split is sealed.
        """
        if name not in {"train", "val"}:
            msg = f"part() gives 'train' or 'val', got '{name}'; the test split is sealed: open_test() is its only door"
            raise UsageError(msg)
        return self._part(name)

    def open_test(self) -> Part:
        """Return the test rows. Whoever calls this records the opening in the study (design rule 6)."""
        return self._part("test")

    def _part(self, name: str) -> Part:
        rows = np.flatnonzero(self.split == splits.NAMES[name])
        labels, groups = np.array(self.labels[rows]), np.array(self.group[rows])
        return Part(images=self.images, rows=rows, labels=labels, groups=groups, name=name)


def prepare(spec: DataSpec, path: Path | None, cache: Path) -> Prepared:
    """Read, split and store the images of ``spec`` below ``cache``, or open what an earlier call stored.

    Args:
        spec: format, size, channels and shares.
        path: file or folder of the images, None for rendered ones.
        cache: folder that holds all prepared sets.

    Raises:
        UsageError: a path is needed and none was given.
        DataError: the source breaks a rule, or the cache cannot be written.
    """
    kind = load.detect(spec, path)
    source = None if path is None else absolute(path)
    folder = cache.resolve() / _key(spec, kind, source)
    try:
        return open_prepared(folder)
    except DataError:
        pass
    try:
        with _atomic.locked(folder.with_name(f".{folder.name}.lock")):
            try:
                return open_prepared(folder)  # another process was faster
            except DataError:
                _atomic.clear_unfinished(folder)
                with _atomic.new_folder(folder) as part, images_in(part):
                    store(part, load.load(spec, path), spec, kind, source)
    except OSError as error:
        where, why = error.filename or folder, error.strerror or error
        msg = f"{where}: prepared images must be stored there ({why}); free the disk or choose another --root"
        raise DataError(msg) from None
    return open_prepared(folder)


def write_prepared(
    spec: DataSpec, path: Path | None, folder: Path, change: Callable[[RawData], RawData] = lambda raw: raw
) -> Prepared:
    """Read, ``change`` and split the images of ``spec``, store them at ``folder``, over what is there.

    Arguments and errors otherwise as `prepare`.
    """
    kind = load.detect(spec, path)
    try:
        with _atomic.new_folder(folder) as part, images_in(part):
            source = None if path is None else absolute(path)
            store(part, change(load.load(spec, path)), spec, kind, source)
    except OSError as error:
        msg = f"{folder}: prepared images must be stored there ({error.strerror or error}); choose another folder"
        raise DataError(msg) from None
    return open_prepared(folder)


def open_prepared(folder: Path) -> Prepared:
    """Open what `prepare` stored at ``folder``.

    Raises:
        DataError: it is missing or does not add up.
    """
    try:
        card = json.loads((folder / PREPARED).read_text(encoding="utf-8"))
        if card["version"] != VERSION:
            msg = f"it is of version {card['version']}"
            raise ValueError(msg)
        arrays: dict[str, Any] = {}
        for name, kind in ARRAYS.items():
            if name == OPTIONAL and name not in card["shapes"]:
                continue
            arrays[name] = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            if arrays[name].dtype != kind or list(arrays[name].shape) != card["shapes"][name]:
                msg = f"{name}.npy is {arrays[name].dtype} {arrays[name].shape}"
                raise ValueError(msg)
            if name != "images" and _atomic.sha256(folder / f"{name}.npy") != card["sha256"][name]:
                msg = f"{name}.npy was changed"
                raise ValueError(msg)
        return Prepared(
            folder=folder,
            format=card["format"],
            source=None if card["source"] is None else Path(card["source"]),
            classes=tuple(card["classes"]),
            fingerprint=card["fingerprint"],
            mean=tuple(card["mean"]),
            std=tuple(card["std"]),
            counts=card["counts"],
            dropped=card["dropped"],
            further=card["further"],
            frames=card.get("frames", 1),
            **arrays,
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, SyntaxError) as error:
        msg = f"{folder}: prepared images must be there whole, got '{error}'; run the command again to make them anew"
        raise DataError(msg) from None


def _key(spec: DataSpec, kind: str, source: Path | None) -> str:
    """Return the folder name of what ``spec`` and the source as it now stands give."""
    if source is None:
        state: Any = _atomic.sha256(Path(synthetic.__file__))  # a changed drawing is another set
    else:
        state = load.state(spec, kind, source)
    wanted = asdict(replace(spec, path=None, format="auto"))
    version = JOINED if spec.also else READ.get(kind, VERSION)
    text = json.dumps([version, splits.VERSION, kind, None if source is None else str(source), state, wanted])
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def store(folder: Path, raw: RawData, spec: DataSpec, kind: str, source: Path | None) -> None:
    """Split the rows of ``raw`` and write what `open_prepared` reads into an empty folder.

    Args:
        folder: exists.
        raw: the images.
        spec: says how they are split.
        kind: the format they came from.
        source: absolute path they came from, None if from none.

    Raises:
        DataError: they cannot be split.
    """
    try:
        split = splits.assign(raw, spec)
    except DataError as error:
        msg = f"{source or kind}: {error}"
        raise DataError(msg) from None
    arrays = {"images": raw.images, "labels": raw.labels, "split": split.split, "group": split.group}
    if raw.soft is not None:
        arrays["soft"] = raw.soft
    for name, array in arrays.items():
        if name != "images":
            np.save(folder / f"{name}.npy", np.ascontiguousarray(array, ARRAYS[name]), allow_pickle=False)
    keep_images(raw.images, folder / "images.npy")
    mean, std = _moments(raw.images, np.flatnonzero(split.split == splits.TRAIN))
    card = {
        "version": VERSION,
        "format": kind,
        "frames": spec.frames,
        "source": None if source is None else str(source),
        "classes": raw.classes,
        "fingerprint": fingerprint(raw),
        "mean": mean,
        "std": std,
        "counts": {name: counts(raw, split.split == code) for name, code in splits.NAMES.items()},
        "dropped": {**raw.left_out, **split.dropped},
        "further": {
            "also": [str(absolute(Path(more))) for more in spec.also],
            "images": None if spec.images is None else str(absolute(Path(spec.images))),
        },
        "shapes": {name: array.shape for name, array in arrays.items()},
        "sha256": {name: _atomic.sha256(folder / f"{name}.npy") for name in arrays if name != "images"},
    }
    _atomic.write_json(folder / PREPARED, card)


def _moments(images: np.ndarray, rows: np.ndarray) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation per channel of ``images[rows] / 255``, from counts of the 256 values."""
    channels = images.shape[-1]
    seen = np.zeros((channels, 256), np.int64)
    step = max(1, BLOCK_BYTES // images[0].nbytes)
    for start in range(0, len(rows), step):
        block = images[rows[start : start + step]]
        for c in range(channels):
            seen[c] += np.bincount(block[..., c].ravel(), minlength=256)
    values = np.arange(256) / 255
    mean = seen @ values / seen.sum(1)
    var = (seen * (values - mean[:, None]) ** 2).sum(1) / seen.sum(1)
    return mean.tolist(), np.maximum(np.sqrt(var), MIN_STD).tolist()
