"""What is kept in a file is computed once; a file that is damaged or cannot be written costs time and nothing else."""

import json
from multiprocessing.pool import ThreadPool
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from ferhpo import _kept


def never() -> float:
    pytest.fail("measured twice")


def test_a_value_is_measured_once_and_each_key_has_its_own(tmp_path: Path) -> None:
    file = tmp_path / "made" / "values.json"
    assert _kept.known(file, "a", float) is None
    assert not file.parent.exists()
    assert [_kept.remembered(file, key, lambda n=n: n, float) for n, key in enumerate("ab")] == [0.0, 1.0]
    assert [_kept.remembered(file, key, never, float) for key in "ab"] == [0.0, 1.0]
    assert [_kept.known(file, key, float) for key in "abc"] == [0.0, 1.0, None]
    assert json.loads(file.read_text()) == {"a": 0, "b": 1}


def test_of_several_that_ask_one_measures_and_the_others_wait(tmp_path: Path) -> None:
    measured: list[int] = []

    def measure() -> int:
        sleep(0.05)
        measured.append(1)
        return len(measured)

    with ThreadPool(4) as pool:
        found = pool.map(lambda _: _kept.remembered(tmp_path / "values.json", "a", measure, int), range(4))
    assert found == [1, 1, 1, 1]


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"a": "x"}', '{"b": null, "a": 1}'])
def test_a_file_that_is_not_understood_is_begun_anew(tmp_path: Path, text: str) -> None:
    file = tmp_path / "values.json"
    file.write_text(text)
    assert _kept.known(file, "a", float) is None
    assert _kept.remembered(file, "a", lambda: 2.5, float) == 2.5
    assert json.loads(file.read_text()) == {"a": 2.5}


def test_where_no_file_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert _kept.remembered(tmp_path / "file" / "values.json", "a", lambda: 2.5, float) == 2.5


@pytest.mark.parametrize("kind", [OSError, ValueError])
def test_a_measurement_that_fails_is_not_repeated_and_not_hidden(tmp_path: Path, kind: type[Exception]) -> None:
    asked: list[int] = []

    def fail() -> float:
        asked.append(1)
        raise kind

    with pytest.raises(kind):
        _kept.remembered(tmp_path / "values.json", "a", fail, float)
    assert asked == [1]
    assert _kept.remembered(tmp_path / "values.json", "a", lambda: 2.5, float) == 2.5


def test_an_array_is_computed_once_and_again_for_another_shape(tmp_path: Path) -> None:
    path, made = tmp_path / "made" / "array.npy", np.arange(6, dtype=np.float32).reshape(2, 3)
    assert _kept.array(path, (2, 3), lambda: made) is made
    found = _kept.array(path, (2, 3), lambda: pytest.fail("computed twice"))
    assert found.dtype == np.float32
    assert np.array_equal(found, made)
    assert _kept.array(path, (3, 2), lambda: made.T).shape == (3, 2)
    assert np.array_equal(np.load(path), made.T)


@pytest.mark.parametrize("content", [b"", b"no array"])
def test_an_array_that_cannot_be_read_or_kept_is_computed(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    for path in (file / "array.npy", file):
        assert _kept.array(path, (2,), lambda: np.ones(2)).tolist() == [1, 1]
    assert np.load(file).tolist() == [1, 1]
