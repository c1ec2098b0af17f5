"""Files and folders appear whole or not at all, and a lock lives exactly as long as its holder."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ferhpo._atomic import (
    clear_unfinished,
    for_user,
    is_locked,
    locked,
    new_folder,
    sha256,
    write_bytes,
    write_json,
    write_text,
)
from ferhpo.errors import UsageError


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_is_written_with_its_parents_and_nothing_beside_it(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a" / "b.bin", b"new")
    assert (tmp_path / "a" / "b.bin").read_bytes() == b"new"
    assert names(tmp_path / "a") == ["b.bin"]


def test_a_file_that_cannot_be_written_is_one_sentence_to_a_user(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "page.html"
    said = rf"^{path} must be a file that can be written \(.*\); name another$"
    with pytest.raises(UsageError, match=said), for_user(path):
        write_bytes(path, b"")


def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "b.bin"
    write_bytes(path, b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["b.bin"]


def test_json_is_written_so_that_it_reads_back(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": [1, 2.5, None], "b": "ä"})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [1, 2.5, None], "b": "ä"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_is_refused_and_the_old_file_stays(tmp_path: Path, value: float) -> None:
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", value)
    assert json.loads((tmp_path / "a.json").read_text()) == 1


def test_a_folder_is_not_there_before_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "folder"
    with new_folder(target) as part:
        (part / "a").write_text("1")
        assert not target.exists()
    assert names(target) == ["a"]
    assert names(target.parent) == ["folder"]


def test_files_are_on_the_disk_before_their_folder_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "folder"
    synced: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(Path(f"/proc/self/fd/{number}").readlink()))
    with new_folder(target) as part:
        (part / "deep").mkdir()
        (part / "deep" / "a").write_text("1")
    assert [path.name for path in synced] == ["a"]
    assert not synced[0].is_relative_to(target), "while it had another one"


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").write_text("1")
    with new_folder(target) as part:
        (part / "new").write_text("2")
    assert names(target) == ["new"]
    assert names(tmp_path) == ["folder"]


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path, there: bool) -> None:
    target, link = tmp_path / "disk" / "folder", tmp_path / "here" / "link"
    link.parent.mkdir()
    link.symlink_to(target)
    if there:
        target.mkdir(parents=True)
        (target / "old").write_text("1")
    with new_folder(link) as part:
        (part / "new").write_text("2")
    assert link.is_symlink()
    assert names(target) == ["new"]
    assert names(target.parent) == ["folder"]


def test_what_killed_processes_left_of_a_folder_is_removed_and_no_more(tmp_path: Path) -> None:
    for name in (".folder.0a1b", "folder", ".folders.0a1b"):
        (tmp_path / name).mkdir()
    (tmp_path / ".folder.lock").write_text("")
    (tmp_path / ".folder.0a1b" / "half").write_text("1")
    clear_unfinished(tmp_path / "folder")
    assert names(tmp_path) == [".folder.lock", ".folders.0a1b", "folder"]


def test_a_folder_whose_filling_fails_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").write_text("1")
    with pytest.raises(RuntimeError), new_folder(target) as part:  # noqa: PT012
        (part / "new").write_text("2")
        raise RuntimeError
    assert names(target) == ["old"]
    assert names(tmp_path) == ["folder"]


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").write_text("1")
    rename, calls = Path.rename, []

    def interrupted(self: Path, other: Path) -> Path:
        calls.append(other)
        if len(calls) == 3:  # the new one, in vain; the old one aside; the new one
            raise KeyboardInterrupt
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), new_folder(target) as part:
        (part / "new").write_text("2")
    assert names(target) == ["old"]
    assert names(tmp_path) == ["folder"]


def test_an_old_folder_that_cannot_be_deleted_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").write_text("1")

    def busy(*_: object, **__: object) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(os, "rmdir", busy)
    with new_folder(target) as part:
        (part / "new").write_text("2")
    assert names(target) == ["new"]


@pytest.mark.parametrize("first", [True, False])
def test_of_two_that_write_one_folder_the_last_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    target = tmp_path / "folder"
    if first:
        target.mkdir()
        (target / "old").write_text("1")
    rename, calls = Path.rename, []

    def with_another(self: Path, other: Path) -> Path:
        calls.append(other)
        if len(calls) == 1:
            monkeypatch.setattr(Path, "rename", rename)
            with new_folder(target) as part:
                (part / "other").write_text("3")
            monkeypatch.setattr(Path, "rename", with_another)
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", with_another)
    with new_folder(target) as part:
        (part / "new").write_text("2")
    assert names(target) == ["new"]
    assert names(tmp_path) == ["folder"]


def test_a_lock_is_refused_to_a_second_holder_and_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "x" / "run.lock"
    with locked(path):
        assert is_locked(path)
        with pytest.raises(BlockingIOError), locked(path, wait=False):
            pass
    assert not is_locked(path)
    with locked(path, wait=False):
        pass


def test_asking_for_a_lock_makes_no_file(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "run.lock")
    assert names(tmp_path) == []


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom ferhpo._atomic import clear_unfinished, locked\n"
        "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert is_locked(path)
        process.kill()
        process.wait()
        assert not is_locked(path)


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_a_byte_of_a_file_name_that_is_no_text_is_written_out(tmp_path: Path) -> None:
    write_text(tmp_path / "page.html", os.fsdecode(b"gesicht-\xfc.png"))
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == "gesicht-\\udcfc.png"
