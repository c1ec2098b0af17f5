"""Single images, split names, and the fingerprint."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ferhpo.data.raw import fingerprint, parts, read_image, role, seems_grey
from ferhpo.errors import DataError
from tests.data.made_up import faces, raw


def test_split_names_are_listed_training_first_and_test_last() -> None:
    assert parts(raw([0, 1, 0], ["PrivateTest", "Training", "PublicTest"])) == ["Training", "PublicTest", "PrivateTest"]
    assert parts(raw([0, 1, 0], ["test", "train", "valid"])) == ["train", "valid", "test"]


@pytest.mark.parametrize(("name", "stands_for"), [("", "train"), ("Validation", "val"), ("PrivateTest", "test")])
def test_a_split_name_has_a_role(name: str, stands_for: str) -> None:
    assert role(name) == stands_for


def test_the_fingerprint_is_of_the_content() -> None:
    assert fingerprint(raw([0, 1, 0])) == fingerprint(raw([0, 1, 0]))


def test_any_change_of_the_content_changes_the_fingerprint() -> None:
    one = raw([0, 1, 0], "train")
    pixel = one.images.copy()
    pixel[1, 2, 3, 0] ^= 1
    others = [
        replace(one, images=pixel),
        replace(one, labels=np.array([0, 1, 1])),
        replace(one, classes=("class0", "other")),
        replace(one, part=np.array(["train", "train", "test"])),
        replace(one, images=one.images.reshape(3, 2, 8, 1)),
        replace(one, group=np.array([0, 0, 1])),
        replace(one, soft=np.eye(2, dtype=np.float32)[[0, 1, 0]]),
    ]
    assert len({fingerprint(r) for r in [one, *others]}) == 8


def test_sixteen_bit_images_are_scaled_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 128 * 256, np.uint16)).save(tmp_path / "x.png")
    assert (read_image(tmp_path / "x.png", 8, 1) == 128).all()


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_sixteen_bit_images_of_every_format_keep_their_grey(tmp_path: Path, name: str) -> None:
    ramp = np.arange(64, dtype=np.uint16).reshape(8, 8) << 10
    Image.fromarray(ramp).save(tmp_path / name)
    assert (read_image(tmp_path / name, 8, 1)[..., 0] == ramp >> 8).all()


@pytest.mark.parametrize(
    ("pixels", "got"),
    [
        (np.linspace(0, 1, 64, dtype=np.float32), "floats from 0 to 1"),
        (np.linspace(0, 65535, 64).astype(np.int32), "32-bit numbers from 0 to 65535"),
        (np.arange(-1, 63, dtype=np.int32), "32-bit numbers from -1 to 62"),
    ],
)
def test_pixels_of_which_nobody_says_what_is_white_are_refused(tmp_path: Path, pixels: np.ndarray, got: str) -> None:
    Image.fromarray(pixels.reshape(8, 8)).save(tmp_path / "x.tif")
    with pytest.raises(DataError, match=f"x.tif: only 8- and 16-bit images can be read, got {got}; convert it"):
        read_image(tmp_path / "x.tif", 8, 1)


def test_bytes_kept_in_32_bits_are_taken_as_they_are(tmp_path: Path) -> None:
    pixels = np.arange(64, dtype=np.int32).reshape(8, 8) * 4
    Image.fromarray(pixels).save(tmp_path / "x.tif")
    assert (read_image(tmp_path / "x.tif", 8, 1)[..., 0] == pixels).all()


def test_a_picture_taken_sideways_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    pixels = faces(1, 8)[0, ..., 0]
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=exif)
    assert (read_image(tmp_path / "x.png", 8, 1)[..., 0] == np.rot90(pixels, -1)).all()


@pytest.mark.parametrize(
    ("tag", "got"),
    [(0x0100, "required argument is not an integer"), (0x011A, r"bad operand type for abs\(\): 'str'")],
)
def test_a_picture_whose_camera_wrote_nonsense_is_named(tmp_path: Path, tag: int, got: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn, for which Pillow writes the other entries again
    exif[0x010E] = "text"
    nonsense = exif.tobytes().replace(b"\x01\x0e", tag.to_bytes(2, "big"))  # text as the width, or the resolution
    Image.fromarray(faces(1, 8)[0, ..., 0]).save(tmp_path / "x.jpg", exif=nonsense)
    with pytest.raises(DataError, match=rf"x.jpg: an image must be readable, got '{got}'; replace or delete the file"):
        read_image(tmp_path / "x.jpg", 8, 1)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x.png: there is no such image"):
        read_image(tmp_path / "x.png", 8, 1)


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"an image must be readable"):
        read_image(tmp_path, 8, 1)


def test_an_image_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferhpo.data.raw.MAX_PIXELS", 50)
    Image.fromarray(faces(1, 8)[0, ..., 0]).save(tmp_path / "x.png")
    with pytest.raises(DataError, match=r"at most 50 pixels, got 8x8; scale it down"):
        read_image(tmp_path / "x.png", 8, 1)


def test_a_face_is_cut_out_of_its_photograph(tmp_path: Path) -> None:
    pixels = faces(1, 20)[0, ..., 0]
    Image.fromarray(pixels).save(tmp_path / "x.png")
    assert (read_image(tmp_path / "x.png", 8, 1, (4, 6, 12, 14))[..., 0] == pixels[6:14, 4:12]).all()
    assert (read_image(tmp_path / "x.png", 8, 1, (12, 12, 99, 99))[..., 0] == pixels[12:, 12:]).all()


def test_a_box_outside_its_photograph_is_refused(tmp_path: Path) -> None:
    Image.fromarray(faces(1, 20)[0, ..., 0]).save(tmp_path / "x.png")
    with pytest.raises(DataError, match=r"x.png: the box of a face must lie in its image, got left 20, top 0"):
        read_image(tmp_path / "x.png", 8, 1, (20, 0, 30, 10))


@pytest.mark.parametrize(
    ("channels", "frames", "mean", "grey"),
    [(3, 1, [0.5] * 3, True), (3, 1, [0.5, 0.4, 0.5], False), (3, 3, [0.5] * 3, False), (1, 1, [0.5], False)],
)
def test_grey_stills_of_three_channels_are_known_by_their_moments(
    channels: int, frames: int, mean: list[float], grey: bool
) -> None:
    assert seems_grey(channels, frames, mean, [0.2] * channels) is grey
