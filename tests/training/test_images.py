import mmap
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ferhpo.training import images as module
from ferhpo.training.images import AHEAD, Preprocessing, Rows, ahead, free_memory


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


def test_rows_that_another_process_leaves_no_room_for_are_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RESIDENT", module.OrderedDict())
    rows = Rows(stored(), None, "cpu")

    def full(_: Rows) -> torch.Tensor:
        raise RuntimeError(said)

    monkeypatch.setattr(Rows, "_moved", full)
    said = "CUDA out of memory"
    assert rows._settle("train") is None
    assert not module._RESIDENT
    said = "CUDA error: an illegal memory access"
    with pytest.raises(RuntimeError, match="illegal"):
        rows._settle("train")


def test_resident_rows_are_kept_for_the_next_trial_and_the_oldest_part_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RESIDENT", module.OrderedDict())
    images = stored()
    device = "meta"  # any device but the CPU; it holds no values
    first = Rows(images, np.array([1, 2]), device, "a train")
    again = Rows(images, np.array([1, 2]), device, "a train")
    assert first._resident is again._resident
    for key in "bcde":
        Rows(images, None, device, key)
    assert [key for key, *_ in module._RESIDENT] == ["b", "c", "d", "e"]


def test_other_rows_of_the_same_images_are_resident_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RESIDENT", module.OrderedDict())
    few, more = (Rows(stored(), np.array(rows), "meta", "a train")._resident for rows in ([1, 2], [3, 4, 5]))
    assert few is not None
    assert more is not None
    assert (len(few), len(more)) == (2, 3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_rows_on_a_gpu_are_those_of_the_array_resident_or_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RESIDENT", module.OrderedDict())
    monkeypatch.setattr(module, "BLOCK_BYTES", 1000)
    chosen, positions = np.array([7, 2, 5, 9]), torch.tensor([3, 0]).split(1)
    want = [torch.from_numpy(stored()[[chosen[int(p)]]].transpose(0, 3, 1, 2)) for p in positions]
    for key in ("a train", None):
        rows = Rows(stored(), chosen, "cuda", key)
        assert rows.streamed == (key is None)
        assert all(got.cpu().equal(one) for got, one in zip(rows.batches(positions), want, strict=True))


def test_moving_in_blocks_keeps_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RESIDENT", module.OrderedDict())
    monkeypatch.setattr(module, "BLOCK_BYTES", 1000)  # two rows
    rows = Rows(stored(), np.array([7, 2, 5]), "cpu")
    moved = rows._settle("a train")
    assert moved is not None
    assert torch.equal(moved, torch.from_numpy(stored()[[7, 2, 5]].transpose(0, 3, 1, 2)))


def free(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: SimpleNamespace(available=memory))


def test_rows_are_streamed_where_the_memory_would_not_keep_them(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(f"{tmp_path}/images.npy", stored())
    images = np.load(f"{tmp_path}/images.npy", mmap_mode="r")
    free(monkeypatch, 2 * images.nbytes)
    assert not Rows(images, None, "cpu").streamed
    free(monkeypatch, images.nbytes)
    assert Rows(images, None, "cpu").streamed
    assert not Rows(images, np.array([1, 2]), "cpu").streamed


def test_streamed_rows_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    positions = torch.randperm(10).split(3)
    plain = list(Rows(stored(), None, "cpu").batches(positions))
    free(monkeypatch, 0)
    rows = Rows(stored(), None, "cpu")
    assert rows.streamed
    assert all(a.equal(b) for a, b in zip(rows.batches(positions), plain, strict=True))


class Watched(mmap.mmap):
    """A map that keeps what the kernel is told."""

    told: list[int]

    def madvise(self, option: int, *_: int) -> None:
        self.told.append(option)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_kernel_is_told_that_rows_which_memory_does_not_keep_come_in_any_order(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = Watched(-1, stored().nbytes)
    mapped.told = []
    images = np.ndarray(stored().shape, np.uint8, mapped)
    assert Rows(images, None, device).streamed == (device == "cuda")
    assert mapped.told == []
    free(monkeypatch, 0)
    assert Rows(images, None, device).streamed
    assert mapped.told == [mmap.MADV_RANDOM]


@pytest.mark.parametrize(
    ("groups", "limited"),
    [
        ("0::/\n", "memory.max"),
        ("0::/job/step\n", "job/memory.max"),
        ("0::/../elsewhere\n", "memory.max"),
        ("12:cpu,cpuacct:/x\n3:memory:/docker/x\n", "memory/docker/x/memory.limit_in_bytes"),
        ("3:memory:/not/seen/from/here\n", "memory/memory.limit_in_bytes"),
    ],
)
def test_memory_beyond_the_limit_of_a_container_is_not_free(
    groups: str, limited: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "groups" / limited
    limit.parent.mkdir(parents=True)
    (tmp_path / "own").write_text(groups)
    monkeypatch.setattr(module, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(module, "GROUPS", tmp_path / "groups")
    free(monkeypatch, 5000)
    for text, found in (("1000\n", 1000), ("9223372036854771712\n", 5000), ("max\n", 5000)):
        limit.write_text(text)
        assert free_memory() == found


def test_without_control_groups_what_is_free_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OWN_GROUPS", tmp_path / "absent")
    free(monkeypatch, 5000)
    assert free_memory() == 5000


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("ahead")]


def test_results_come_in_order_and_only_a_few_are_made_ahead() -> None:
    made: list[int] = []

    def make(i: int) -> int:
        made.append(i)
        return i * i

    squares = ahead(make, range(20))
    assert next(squares) == 0
    time.sleep(0.05)
    assert made == list(range(AHEAD + 1))
    assert list(squares) == [i * i for i in range(1, 20)]
    assert made == list(range(20))
    assert not threads()


@pytest.mark.parametrize("items", [0, 1, 2, 3])
def test_fewer_items_than_are_made_ahead_come_too(items: int) -> None:
    assert list(ahead(str, range(items))) == [str(i) for i in range(items)]


def test_a_generator_that_is_left_ends_its_thread() -> None:
    numbers = ahead(str, range(20))
    next(numbers)
    assert threads()
    del numbers
    assert not threads()


def test_what_goes_wrong_is_raised_where_the_result_would_have_come() -> None:
    quotients = ahead(lambda i: 6 // i, [3, 2, 0, 1])
    assert [next(quotients), next(quotients)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(quotients)
    assert not threads()


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
