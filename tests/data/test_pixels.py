"""Images are filled in memory or, while a set is prepared, straight in its folder."""

import os
from pathlib import Path

import numpy as np
import pytest

from ferhpo.data.pixels import images_in, keep_images, new_images
from tests.data.made_up import faces


def test_images_are_in_memory_unless_a_folder_is_named(tmp_path: Path) -> None:
    assert not isinstance(new_images(3, 4, 1), np.memmap)
    with images_in(tmp_path):
        made = new_images(3, 4, 1)
    assert isinstance(made, np.memmap)
    assert (made.shape, made.dtype) == ((3, 4, 4, 1), np.uint8)
    assert not isinstance(new_images(3, 4, 1), np.memmap)


def test_what_was_filled_in_the_folder_is_kept_without_a_copy(tmp_path: Path) -> None:
    with images_in(tmp_path):
        made, spare = new_images(5, 4, 3), new_images(2, 4, 3)
    made[:] = faces(5, 4, 3)
    spare[:] = 1
    (inode,) = {p.stat().st_ino for p in tmp_path.iterdir() if p == Path(made.filename)}  # pyright: ignore
    keep_images(made, tmp_path / "images.npy")
    assert [p.name for p in tmp_path.iterdir()] == ["images.npy"]
    assert (tmp_path / "images.npy").stat().st_ino == inode
    assert (np.load(tmp_path / "images.npy") == faces(5, 4, 3)).all()


def test_rows_that_were_not_needed_are_cut_off(tmp_path: Path) -> None:
    with images_in(tmp_path):
        made = new_images(12_345, 4, 1)
    made[:5] = faces(5, 4)
    keep_images(made[:5], tmp_path / "images.npy")
    assert (np.load(tmp_path / "images.npy") == faces(5, 4)).all()
    np.save(tmp_path / "other.npy", faces(5, 4))
    assert (tmp_path / "images.npy").read_bytes() == (tmp_path / "other.npy").read_bytes()


@pytest.mark.parametrize("how", ["last rows", "every other row", "other order", "one channel", "in memory"])
def test_anything_else_is_stored_as_it_is(tmp_path: Path, how: str) -> None:
    with images_in(tmp_path):
        made = new_images(5, 4, 3)
    made[:] = faces(5, 4, 3)
    images = {
        "last rows": made[2:],
        "every other row": made[::2],
        "other order": made[::-1],
        "one channel": made[..., :1],
        "in memory": np.array(made),
    }[how]
    want = np.array(images)
    keep_images(images, tmp_path / "images.npy")
    assert [p.name for p in tmp_path.iterdir()] == ["images.npy"]
    assert (np.load(tmp_path / "images.npy") == want).all()


def test_a_full_disk_is_an_error_before_the_first_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with images_in(tmp_path), pytest.raises(OSError, match="No space left"):
        new_images(3, 4, 1)


def test_no_rows_need_no_file(tmp_path: Path) -> None:
    with images_in(tmp_path):
        assert new_images(0, 4, 1).shape == (0, 4, 4, 1)
    assert not list(tmp_path.iterdir())
