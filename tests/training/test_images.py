import numpy as np
import pytest
import torch

from ferhpo.training import images as module
from ferhpo.training.images import Preprocessing, Rows


def preprocessing(stored: int, size: int, channels: int = 1) -> Preprocessing:
    moments = (0.5,) * channels
    return Preprocessing(stored_size=stored, image_size=size, channels=channels, mean=moments, std=moments, mirror=True)


def stored(n: int = 10, size: int = 12, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, channels), np.uint8)


def test_rows_are_taken_by_position_channels_first() -> None:
    images = stored()
    rows = np.array([7, 2, 5])
    got = Rows(images, rows, "cpu").take(torch.tensor([2, 0]))
    assert torch.equal(got, torch.from_numpy(images[[5, 7]].transpose(0, 3, 1, 2)))
    assert len(Rows(images, rows, "cpu")) == 3
    assert len(Rows(images, None, "cpu")) == 10


def test_a_read_only_memory_map_serves(tmp_path: object) -> None:
    path = f"{tmp_path}/images.npy"
    np.save(path, stored())
    images = np.load(path, mmap_mode="r")
    assert torch.equal(
        Rows(images, None, "cpu").take(torch.tensor([3])), torch.from_numpy(images[[3]].transpose(0, 3, 1, 2))
    )


def test_resident_rows_are_kept_for_the_next_trial_and_the_oldest_part_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RESIDENT", module.OrderedDict())
    images = stored()
    device = "meta"  # any device but the CPU; it holds no values
    first = Rows(images, np.array([1, 2]), device, "a train")
    again = Rows(images, np.array([1, 2]), device, "a train")
    assert first._resident is again._resident
    for key in "bcde":
        Rows(images, None, device, key)
    assert [key for key, _ in module._RESIDENT] == ["b", "c", "d", "e"]


def test_images_of_the_nets_size_are_scaled_only() -> None:
    x = torch.from_numpy(stored(2, 12, 1).transpose(0, 3, 1, 2))
    assert torch.equal(preprocessing(12, 12).scaled(x), x.float() / 255)


@pytest.mark.parametrize("size", [6, 13, 24])
def test_other_images_are_resized_with_antialiasing(size: int) -> None:
    x = torch.zeros(1, 1, 12, 12, dtype=torch.uint8)
    x[..., ::2] = 255  # stripes of one pixel: without antialiasing half the size is all black or all white
    got = preprocessing(12, size).scaled(x)
    assert got.shape == (1, 1, size, size)
    assert float(got.mean()) == pytest.approx(0.5, abs=0.05)


def test_normalising_is_by_channel() -> None:
    p = Preprocessing(stored_size=2, image_size=2, channels=3, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 4.0), mirror=False)
    got = p.normalise(torch.ones(1, 3, 2, 2))
    assert torch.allclose(got[0, :, 0, 0], torch.tensor([0.9, 0.4, 0.175]))


def test_preprocessing_survives_json() -> None:
    p = preprocessing(48, 64, 3)
    assert Preprocessing.from_json(p.to_json()) == p
