"""ExpW: faces cut out of photographs, faces of one photograph kept together."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ferhpo.data.formats import expw
from ferhpo.data.load import detect
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec

SPEC = DataSpec(size=8)


def write(root: Path, lines: str | None = None) -> Path:
    pixels = np.zeros((40, 60), np.uint8)
    pixels[5:15, 30:50] = 100  # rows 5 to 15, columns 30 to 50
    pixels[20:36, 0:10] = 200
    (root / "image/origin").mkdir(parents=True)
    (root / "label").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels).save(root / "image/origin" / name)
    faces = "a.png 0 5 30 50 15 98.5 3\na.png 1 20 0 10 36 60.1 0\nb.png 0 5 30 50 15 99 6\n"
    (root / "label/label.lst").write_text(faces if lines is None else lines)
    return root


def test_a_face_is_what_lies_in_its_box(tmp_path: Path) -> None:
    assert detect(SPEC, write(tmp_path)) == "expw"
    raw = expw.read(tmp_path, SPEC)
    assert [sorted(set(image.ravel().tolist())) for image in raw.images] == [[100], [200], [100]]
    assert [raw.classes[i] for i in raw.labels] == ["happy", "angry", "neutral"]
    assert raw.part.tolist() == ["", "", ""]


def test_faces_of_one_photograph_are_a_group(tmp_path: Path) -> None:
    group = expw.find(write(tmp_path)).group
    assert group is not None
    assert group[0] == group[1] != group[2]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("a.png 0 5 30 50 15 98.5 7\n", r"label.lst:1: a label must be one of 0, 1, 2, 3, 4, 5, 6, got '7'"),
        ("a.png 0 5 30 50 15 98.5\n", r":1: a line must have 8 fields, got 7"),
        ("a.png 0 5 30 x 15 98.5 3\n", r":1: a box must have four whole numbers of pixels, got 5 30 x 15"),
        (
            "a.png 0 5 30 99999999999999999999 15 98.5 3\n",
            r":1: a box must have four whole numbers of pixels, got 5 30 9",
        ),
        ("c.png 0 5 30 50 15 98.5 3\n", r"every annotation needs its image, got none at .*origin/c.png"),
        ("", r"ExpW must have a line a face, got none"),
    ],
)
def test_a_broken_list_is_named(tmp_path: Path, lines: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        expw.find(write(tmp_path, lines))
