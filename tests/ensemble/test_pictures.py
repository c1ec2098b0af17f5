from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ferhpo.ensemble import pictures
from ferhpo.errors import DataError, UsageError

GREY = {"stored_size": 16, "channels": 1}
COLOUR = {"stored_size": 8, "channels": 3}


def test_files_of_any_size_and_mode_become_the_stored_size(tmp_path: Path) -> None:
    Image.new("RGB", (200, 100), (255, 0, 0)).save(tmp_path / "a.png")
    Image.new("L", (16, 16), 128).save(tmp_path / "b.jpg")
    paths = [tmp_path / "a.png", str(tmp_path / "b.jpg")]
    assert pictures.rows(paths, GREY).shape == (2, 16, 16, 1)
    colour = pictures.rows(paths, COLOUR)
    assert (colour.shape, colour.dtype) == ((2, 8, 8, 3), np.uint8)
    assert (colour[0] == [255, 0, 0]).all()


def test_files_pictures_and_arrays_of_one_image_are_the_same(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(40, 30), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = pictures.rows([tmp_path / "a.png", Image.fromarray(pixels), pixels, pixels[..., None]], GREY)
    assert (found == found[0]).all()
    assert (pictures.rows(pixels[None], GREY) == found[0]).all()
    assert (pictures.rows(np.repeat(pixels[None, ..., None], 3, 3), GREY) == found[0]).all()
    assert (pictures.rows(np.repeat(pixels[None, ..., None], 3, 3), COLOUR) == pictures.rows([pixels], COLOUR)).all()


def test_nets_that_have_seen_no_colour_are_shown_none(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    wanted = np.repeat(np.asarray(Image.fromarray(pixels).convert("L"))[None, :, :, None], 3, 3)
    without = COLOUR | {"grey": True}
    for given in (pixels[None], pixels.reshape(1, -1), [tmp_path / "a.png"], [Image.fromarray(pixels)]):
        assert (pictures.rows(given, without) == wanted).all()
    assert (pictures.rows(wanted, without) == wanted).all()
    (batch,) = pictures.batches([tmp_path / "a.png"], without, 4)
    assert (batch[1] == wanted).all()


def test_rows_that_fit_are_taken_as_they_are_flat_or_not() -> None:
    images = np.random.default_rng(0).integers(256, size=(5, 8, 8, 3), dtype=np.uint8)
    assert pictures.rows(images, COLOUR) is images
    assert (pictures.rows(images.reshape(5, -1), COLOUR) == images).all()
    assert pictures.rows([], COLOUR).shape == (0, 8, 8, 3)


@pytest.mark.parametrize(
    ("images", "got"),
    [
        (np.zeros((2, 16, 16)), "an array of float64"),
        (np.zeros((2, 100), np.uint8), r"an array of shape \(2, 100\)"),
        ("face.png", "one str"),
        (Path("face.png"), "one PosixPath"),
        (Image.new("L", (4, 4)), "one Image"),
        ([np.zeros((4, 4))], "among them ndarray"),
        ([None], "among them NoneType"),
        (np.zeros((48, 48, 3), np.uint8), r"one image of shape \(48, 48, 3\)"),
        (np.zeros((2, 0, 4), np.uint8), r"an array of shape \(2, 0, 4\)"),
        ([np.zeros((0, 4), np.uint8)], r"an image of shape \(0, 4\)"),
        (np.zeros((1, 4, 4, 2), np.uint8), r"an image of shape \(4, 4, 2\)"),
    ],
)
def test_what_holds_no_images_is_refused(images: Any, got: str) -> None:
    with pytest.raises(UsageError, match=f"got {got}; put it into that form"):
        pictures.rows(images, GREY)


def test_a_picture_that_cannot_be_read_is_an_error_as_of_a_file(tmp_path: Path) -> None:
    Image.new("L", (64, 64), 128).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    with Image.open(tmp_path / "a.png") as image, pytest.raises(DataError, match="an image must be readable, got"):
        pictures.rows([image], GREY)


@pytest.mark.parametrize("content", [None, b"", b"no picture", b"{}"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "face.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=str(path)):
        pictures.rows([path], GREY)


def test_a_folder_stands_for_the_images_below_it(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "b/1.jpg", "a.webp", "notes.txt", ".hidden/x.png", "b/.y.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (tmp_path / "c.png").symlink_to("nowhere")  # named when it is read
    found = pictures.find([Path("given.txt"), tmp_path])
    assert [p if p == Path("given.txt") else p.relative_to(tmp_path).as_posix() for p in found] == [
        Path("given.txt"),
        "a.webp",
        "b/1.jpg",
        "b/2.PNG",
        "c.png",
    ]
    with pytest.raises(DataError, match=r"a folder must hold images .*, got none"):
        pictures.find([tmp_path / "empty"])


def test_a_folder_that_is_a_link_is_looked_into_as_everywhere(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "1.png").touch()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "disk")
    assert pictures.find([tmp_path / "here"]) == [tmp_path / "here" / "link" / "1.png"]


def test_batches_leave_out_what_cannot_be_read_and_say_so(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for path in paths:
        Image.new("L", (4, 4), 7).save(path)
    paths[1].write_bytes(b"no picture")
    paths[4].unlink()
    found = list(pictures.batches(paths, GREY, 2))
    assert [[p.stem for p in read] for read, _, _ in found] == [["0"], ["2", "3"], []]
    assert [images.shape for _, images, _ in found] == [(1, 16, 16, 1), (2, 16, 16, 1), (0, 16, 16, 1)]
    assert [len(failed) for _, _, failed in found] == [1, 0, 1]
    assert str(paths[1]) in str(found[0][2][0])
