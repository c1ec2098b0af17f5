"""ExpW, expressions in the wild: boxes of faces in photographs, grouped by photograph; there is no split of its own.

    image/origin/NAME.jpg
    label/label.lst       name face_id top left right bottom confidence label, with spaces between and no header

91,793 faces; the codes are FER-2013's.
"""

from pathlib import Path

from ferhpo.data.formats.annotations import label_of, line, lines
from ferhpo.data.listing import Box, Listing, box, decode, listing, missing
from ferhpo.data.raw import EXPRESSIONS, RawData
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec

LIST = Path("label/label.lst")
IMAGES = Path("image/origin")
NAMES = {str(code): name for code, name in enumerate(EXPRESSIONS)}


def matches(path: Path) -> bool:
    """Tell whether ``path`` is a folder with ``label/label.lst``."""
    return (path / LIST).is_file()


def find(path: Path) -> Listing:
    """List the faces, a box each, with the photograph as group.

    Raises:
        DataError: a line breaks a rule, or its photograph is missing.
    """
    names, labels, boxes = [], [], []
    for number, text in lines(path / LIST):
        name, _, *sides, _, code = line(text, 8, path / LIST, number)
        names.append(name)
        boxes.append(_box(sides, path / LIST, number))
        labels.append(label_of(code, NAMES, path / LIST, number))
    if not names:
        msg = f"{path / LIST}: ExpW must have a line a face, got none; unpack it again"
        raise DataError(msg)
    files = [path / IMAGES / name for name in names]
    missing(files, str(path / LIST))
    return listing(files, labels, group=names, boxes=boxes)


def read(path: Path, spec: DataSpec) -> RawData:
    """Read what `find` finds; raises as it does."""
    return decode(find(path), spec)


def _box(sides: list[str], path: Path, number: int) -> Box:
    try:
        top, left, right, bottom = map(int, sides)
        return box(left, top, right, bottom)
    except ValueError:
        got = " ".join(sides)[:80]
        msg = f"{path}:{number}: a box must have four whole numbers of pixels, got {got}; correct or delete the line"
        raise DataError(msg) from None
