"""Prepared images: made once, opened from anywhere, rebuilt when they do not add up, the test rows behind one door."""

import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ferhpo._layout import PREPARED
from ferhpo.data import cache, load, synthetic
from ferhpo.data.cache import open_prepared, prepare
from ferhpo.data.formats import fer2013
from ferhpo.errors import DataError, UsageError
from ferhpo.space.sections import DataSpec
from tests.data.made_up import faces, row, small_csv, write_csv, write_images

SPEC = DataSpec()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return small_csv(tmp_path / "fer2013.csv")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "studies" / ".cache"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """Return the list of paths that were parsed."""
    seen: list[Path | None] = []
    read = load.load

    def counting(spec: DataSpec, path: Path | None) -> Any:
        seen.append(path)
        return read(spec, path)

    monkeypatch.setattr(load, "load", counting)
    return seen


def test_a_linked_csv_is_read_beside_the_images_of_its_link(tmp_path: Path, store: Path) -> None:
    names = [f"faces/{i}.png" for i in range(40)]
    write_images(tmp_path / "set", names)
    blob = tmp_path / "blobs" / "0123"
    blob.parent.mkdir()
    write_csv(blob, (f"{name},{'ab'[i % 2]}" for i, name in enumerate(names)), header="file,label")
    link = tmp_path / "set" / "labels.csv"
    link.symlink_to(blob)
    first = prepare(SPEC, link, store)
    assert first.source == link
    write_images(tmp_path / "set", names, side=20)
    assert prepare(SPEC, link, store).fingerprint != first.fingerprint


def test_everything_is_prepared(source: Path, store: Path) -> None:
    data = prepare(SPEC, source, store)
    assert data.format == "fer2013"
    assert data.source == source
    assert data.classes == ("angry", "happy", "neutral")
    assert data.counts["train"] == {"angry": 20, "happy": 20, "neutral": 20}
    assert sum(data.counts["test"].values()) == 20
    assert data.dropped == {"train_in_val": 0, "train_in_test": 0, "val_in_test": 0}
    assert len(data.fingerprint) == 64
    train = data.images[data.split == 0] / 255
    assert data.mean == pytest.approx((train.mean(),))
    assert data.std == pytest.approx((train.std(),))


def test_arrays_are_mapped_read_only(source: Path, store: Path) -> None:
    data = prepare(SPEC, source, store)
    assert isinstance(data.images, np.memmap)
    with pytest.raises(ValueError, match=r"read-only"):
        data.images[0] = 0


def test_a_part_holds_its_rows_and_shares_the_images(source: Path, store: Path) -> None:
    data = prepare(SPEC, source, store)
    part = data.part("val")
    assert part.name == "val"
    assert part.rows.tolist() == list(range(60, 80))
    assert (part.labels == data.labels[60:80]).all()
    assert (part.groups == data.group[60:80]).all()
    assert part.images is data.images
    assert (part.rows.dtype, part.labels.dtype, part.groups.dtype) == (np.int64, np.int64, np.int32)


def test_the_test_rows_are_behind_open_test_alone(source: Path, store: Path) -> None:
    data = prepare(SPEC, source, store)
    with pytest.raises(UsageError, match=r"the test split is sealed"):
        data.part("test")  # pyright: ignore[reportArgumentType]
    assert data.open_test().rows.tolist() == list(range(80, 100))


def test_the_second_call_does_not_parse_again(source: Path, store: Path, reads: list[Path | None]) -> None:
    first, second = prepare(SPEC, source, store), prepare(SPEC, source, store)
    assert len(reads) == 1
    assert second.fingerprint == first.fingerprint
    assert second.folder == first.folder


def test_what_a_killed_process_left_unfinished_is_removed(source: Path, store: Path, tmp_path: Path) -> None:
    left = store / f".{prepare(SPEC, source, tmp_path / 'elsewhere').folder.name}.0a1b"
    left.mkdir(parents=True)
    (left / "images.npy").write_bytes(b"half")
    data = prepare(SPEC, source, store)
    assert sorted(path.name for path in store.iterdir()) == [f".{data.folder.name}.lock", data.folder.name]


def test_open_prepared_gives_the_same(source: Path, store: Path) -> None:
    made = prepare(SPEC, source, store)
    opened = open_prepared(made.folder)
    assert (opened.images == made.images).all()
    assert (opened.classes, opened.counts, opened.source) == (made.classes, made.counts, made.source)


def test_a_changed_source_is_parsed_again(source: Path, store: Path, reads: list[Path | None]) -> None:
    first = prepare(SPEC, source, store)
    with source.open("a") as out:
        out.write(row(0, seed=1000) + "\n")
    second = prepare(SPEC, source, store)
    assert len(reads) == 2
    assert second.fingerprint != first.fingerprint
    assert len(second.labels) == 101
    os.utime(source, ns=(0, 0))
    prepare(SPEC, source, store)
    assert len(reads) == 3


def test_a_moved_source_has_the_same_fingerprint(source: Path, store: Path, tmp_path: Path) -> None:
    first = prepare(SPEC, source, store)
    (tmp_path / "there").mkdir()
    second = prepare(SPEC, Path(shutil.move(source, tmp_path / "there" / "x.csv")), store)
    assert second.fingerprint == first.fingerprint
    assert (second.split == first.split).all()


def test_a_relative_path_is_stored_as_absolute(source: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(source.parent)
    assert prepare(SPEC, Path(source.name), store).source == source


def test_another_spec_is_another_set(source: Path, store: Path, reads: list[Path | None]) -> None:
    small = prepare(DataSpec(size=16, channels=3), source, store)
    prepare(SPEC, source, store)
    assert small.images.shape == (100, 16, 16, 3)
    assert len(small.mean) == len(small.std) == 3
    assert len(reads) == 2


def test_the_path_and_the_word_auto_make_no_other_set(source: Path, store: Path, reads: list[Path | None]) -> None:
    prepare(SPEC, source, store)
    prepare(DataSpec(format="fer2013", path="fer2013.csv"), source, store)
    assert len(reads) == 1


def test_a_file_more_in_a_folder_is_seen(tmp_path: Path, store: Path, reads: list[Path | None]) -> None:
    root = write_images(tmp_path / "root", (f"{c}/{i}.png" for c in "ab" for i in range(20)))
    first = prepare(SPEC, root, store)
    prepare(SPEC, root, store)
    assert len(reads) == 1
    shutil.copy(root / "a" / "1.png", root / "b" / "99.png")
    assert len(prepare(SPEC, root, store).labels) == len(first.labels) + 1


def test_rendered_images_are_kept_by_their_number(store: Path, reads: list[Path | None]) -> None:
    spec = DataSpec(format="synthetic", rows=120)
    assert prepare(spec, None, store).source is None
    assert prepare(spec, None, store).format == "synthetic"
    assert len(reads) == 1
    assert len(prepare(DataSpec(format="synthetic", rows=130), None, store).labels) == 130


def test_a_changed_drawing_is_another_set(
    store: Path, reads: list[Path | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = DataSpec(format="synthetic", rows=100)
    prepare(spec, None, store)
    (tmp_path / "synthetic.py").write_text("another drawing")
    monkeypatch.setattr(synthetic, "__file__", str(tmp_path / "synthetic.py"))
    prepare(spec, None, store)
    assert len(reads) == 2


DAMAGE = {
    "no card": lambda f: (f / "prepared.json").unlink(),
    "half a card": lambda f: (f / "prepared.json").write_bytes((f / "prepared.json").read_bytes()[:100]),
    "a card of a list": lambda f: (f / "prepared.json").write_text("[]"),
    "a card without a key": lambda f: (f / "prepared.json").write_text('{"version": 1}'),
    "a binary card": lambda f: (f / "prepared.json").write_bytes(b"\xff\xfe\x00"),
    "an older card": lambda f: (f / "prepared.json").write_text('{"version": 0}'),
    "no images": lambda f: (f / "images.npy").unlink(),
    "no bytes of images": lambda f: (f / "images.npy").write_bytes(b""),
    "half the images": lambda f: os.truncate(f / "images.npy", (f / "images.npy").stat().st_size // 2),
    "junk for images": lambda f: (f / "images.npy").write_bytes(b"junk" * 1000),
    "fewer labels": lambda f: np.save(f / "labels.npy", np.zeros(3, np.int64)),
    "labels of another kind": lambda f: np.save(f / "labels.npy", np.zeros(100, np.float32)),
    "another split": lambda f: np.save(f / "split.npy", np.zeros(100, np.int8)),
    "pickled groups": lambda f: np.save(f / "group.npy", np.array([{}] * 100), allow_pickle=True),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_set_is_refused_by_open_and_made_anew_by_prepare(
    source: Path, store: Path, reads: list[Path | None], what: str
) -> None:
    first = prepare(SPEC, source, store)
    fingerprint, split = first.fingerprint, np.array(first.split)
    DAMAGE[what](first.folder)
    with pytest.raises(DataError, match=r"prepared images must be there whole, got .*; run the command again"):
        open_prepared(first.folder)
    again = prepare(SPEC, source, store)
    assert len(reads) == 2
    assert again.fingerprint == fingerprint
    assert (again.split == split).all()


def test_many_at_once_parse_once(source: Path, store: Path, reads: list[Path | None]) -> None:
    with ThreadPoolExecutor(6) as pool:
        sets = list(pool.map(lambda _: prepare(SPEC, source, store), range(6)))
    assert len(reads) == 1
    assert len({s.fingerprint for s in sets}) == 1


def test_a_refused_source_leaves_nothing_behind(tmp_path: Path, store: Path) -> None:
    source = write_csv(tmp_path / "bad.csv", [row(9)])
    with pytest.raises(DataError, match=r"bad.csv:2: emotion"):
        prepare(SPEC, source, store)
    assert [p.name for p in store.iterdir() if p.is_dir()] == []


def test_a_source_that_cannot_be_split_is_named(tmp_path: Path, store: Path) -> None:
    source = write_csv(tmp_path / "one.csv", [row(3, seed=i) for i in range(30)])
    with pytest.raises(DataError, match=r"one.csv: images of at least 2 classes are needed, got happy alone"):
        prepare(SPEC, source, store)


def test_a_cache_that_cannot_be_written_is_named(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file.*: prepared images must be stored there .*choose another --root"):
        prepare(SPEC, source, tmp_path / "file" / ".cache")


def test_the_deviation_of_equal_images_is_guarded(tmp_path: Path, store: Path) -> None:
    pixels = [" ".join(["7"] * 2303 + [str(i)]) for i in range(60)]
    source = write_csv(tmp_path / "flat.csv", (row(i % 2, pixels=p) for i, p in enumerate(pixels)))
    assert prepare(SPEC, source, store).std[0] >= 1 / 255


def test_the_card_holds_no_figure_of_the_test_pixels(source: Path, store: Path) -> None:
    data = prepare(SPEC, source, store)
    before = data.mean, data.std
    rows = [row((0, 3, 6)[i % 3], seed=i) for i in range(60)]
    rows += [row((0, 3, 6)[i % 3], "PublicTest", seed=i) for i in range(60, 80)]
    rows += [row(0, "PrivateTest", pixels=" ".join(map(str, faces(1, seed=i).ravel() // 2))) for i in range(20)]
    other = prepare(SPEC, write_csv(source.with_name("dark.csv"), rows), store)
    assert (other.mean, other.std) == before
    assert json.loads((data.folder / PREPARED).read_text())["mean"] == list(before[0])


def peak_of(work: Callable[[], object]) -> int:
    """Return the bytes that Python, numpy and Arrow held at most during some work; mapped files do not count."""
    before = pa.default_memory_pool().bytes_allocated()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] + pa.default_memory_pool().bytes_allocated() - before
    finally:
        tracemalloc.stop()


def test_a_larger_set_of_files_takes_no_more_memory_to_prepare(tmp_path: Path, store: Path) -> None:
    spec, small, large = DataSpec(size=256, channels=3), tmp_path / "small", tmp_path / "large"
    write_images(small, (f"{c}/{i}.png" for c in "ab" for i in range(30)))
    write_images(large, (f"{c}/{i}.png" for c in "ab" for i in range(90)))
    prepare(spec, small, store / "warm")
    growth = peak_of(lambda: prepare(spec, large, store)) - peak_of(lambda: prepare(spec, small, store))
    assert growth < 0.2 * 120 * 256 * 256 * 3


def test_a_larger_csv_takes_no_more_memory_to_prepare(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fer2013, "PIECE_BYTES", 1 << 16)
    lines = [row(i % 2, seed=i) for i in range(100)]
    small, large = (write_csv(tmp_path / f"{n}.csv", (lines[i % 100] for i in range(n))) for n in (1000, 4000))
    prepare(SPEC, small, store / "warm")
    growth = peak_of(lambda: prepare(SPEC, large, store)) - peak_of(lambda: prepare(SPEC, small, store))
    assert growth < 0.3 * 3000 * 48 * 48


def test_soft_labels_are_kept_and_a_set_without_has_none(tmp_path: Path, store: Path) -> None:
    usages = ["Training"] * 40 + ["PublicTest"] * 9 + ["PrivateTest"] * 9
    write_csv(tmp_path / "fer2013.csv", (row(3, usage, seed=i) for i, usage in enumerate(usages)))
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    votes = ("6,4,0,0,0,0,0,0,0,0", "3,7,0,0,0,0,0,0,0,0")
    lines = (f"{usage},x.png,{votes[i % 2]}" for i, usage in enumerate(usages))
    path = write_csv(tmp_path / "fer2013new.csv", lines, header=header)
    spec = DataSpec(labels="soft", classes=("happy", "neutral"))
    data = cache.prepare(spec, path, store)
    assert data.soft is not None
    assert data.soft[:2].tolist() == [pytest.approx([0.4, 0.6]), pytest.approx([0.7, 0.3])]
    assert cache.prepare(DataSpec(classes=("happy", "neutral")), path, store).soft is None
