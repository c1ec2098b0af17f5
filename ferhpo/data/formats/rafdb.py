"""RAF-DB, basic expressions: the release, and the folders that Kaggle serves.

    basic/EmoLabel/list_patition_label.txt (sic)      lines "train_00001.jpg 5"
    basic/Image/aligned/train_00001_aligned.jpg       (or Image/original/train_00001.jpg)

    DATASET/{train,test}/{1..7}/train_00001_aligned.jpg, train_labels.csv and test_labels.csv (image,label)

12,271 images train and 3,068 test; the prefix of a name, or the folder, is its split. Codes count from 1.
"""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from ferhpo.data.formats.annotations import label_of, line, lines, rows
from ferhpo.data.listing import Listing, decode, listing, missing, unlabelled
from ferhpo.data.raw import RawData
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec

NAMES = {"1": "surprise", "2": "fear", "3": "disgust", "4": "happy", "5": "sad", "6": "angry", "7": "neutral"}
LIST = Path("EmoLabel/list_patition_label.txt")
TABLES = ("train_labels.csv", "test_labels.csv")
Row = tuple[Path, str, str]  # image, class, split


def matches(path: Path) -> bool:
    """Tell whether ``path`` is a folder of either layout."""
    return _basic(path) is not None or (path / TABLES[0]).is_file()


def find(path: Path) -> Listing:
    """List the images that are annotated.

    Raises:
        DataError: a line breaks a rule, an annotation has no image, or an image has none.
    """
    basic = _basic(path)
    found = list(_tables(path) if basic is None else _list(basic))
    if not found:
        msg = f"{path}: RAF-DB must have annotations, got none; unpack it again"
        raise DataError(msg)
    files = [file for file, _, _ in found]
    missing(files, str(path))
    unlabelled({file.parent for file in files}, files, str(path))
    return listing(files, [name for _, name, _ in found], [part for _, _, part in found])


def read(path: Path, spec: DataSpec) -> RawData:
    """Read what `find` finds; raises as it does."""
    return decode(find(path), spec)


def _basic(path: Path) -> Path | None:
    return next((folder for folder in (path, path / "basic") if (folder / LIST).is_file()), None)


def _list(basic: Path) -> Iterable[Row]:
    aligned, original = basic / "Image/aligned", basic / "Image/original"
    for number, text in lines(basic / LIST):
        name, code = line(text, 2, basic / LIST, number)
        stem, _, ending = name.rpartition(".")
        file = aligned / f"{stem}_aligned.{ending}" if aligned.is_dir() else original / name
        part = name.partition("_")[0]
        if part not in {"train", "test"}:
            msg = f"{basic / LIST}:{number}: an image's name must begin with train_ or test_, got '{name}'; correct it"
            raise DataError(msg)
        yield file, label_of(code, NAMES, basic / LIST, number), part


def _tables(path: Path) -> Iterable[Row]:
    root = path / "DATASET" if (path / "DATASET").is_dir() else path
    for table in TABLES:
        if not (path / table).is_file():
            continue
        part = table.partition("_")[0]
        for number, row in islice(rows(path / table), 1, None):
            name, code = line(",".join(row), 2, path / table, number, ",")
            yield root / part / code.strip() / name, label_of(code, NAMES, path / table, number), part
