"""Problems of single images on sets whose faults are known, and labels that trained nets doubt."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ferhpo.data.problems import problems, suspects
from ferhpo.data.raw import RawData
from tests.data.made_up import faces, raw, write_images
from tests.data.test_near import smooth


def rows(one: RawData, name: str) -> list[list[int]]:
    return [list(group) for problem in problems(one) if problem.name == name for group in problem.rows]


def test_every_fault_is_named_with_its_rows() -> None:
    images = smooth(40)
    images[5] = images[2]  # identical, in another split, another label
    images[7] = images[6]  # identical, one split, one label
    images[39] = (images[20] * 0.8).astype(np.uint8)  # nearly, in another split
    images[11] = 200  # blank
    labels = [0, 1] * 20
    labels[7] = labels[6]
    one = raw(labels, ["train"] * 4 + ["test"] * 4 + ["train"] * 31 + ["test"], images)
    assert rows(one, "duplicates") == [[2, 5], [6, 7]]
    assert rows(one, "leaks") == [[2, 5]]
    assert rows(one, "conflicts") == [[2, 5]]
    assert rows(one, "near_duplicates") == [[20, 39]]
    assert rows(one, "near_leaks") == [[20, 39]]
    assert rows(one, "blank") == [[11]]


def test_what_is_much_darker_brighter_or_flatter_is_an_outlier_and_blank_is_not() -> None:
    images = faces(200, 12)
    images[3] //= 40
    images[4] = 255 - images[4] // 40
    images[5] = 120 + images[5] // 50
    images[6] = 0
    one = raw([0, 1] * 100, images=images)
    assert rows(one, "dark") == [[3]]
    assert rows(one, "bright") == [[4]]
    assert [3] in rows(one, "flat")
    assert [5] in rows(one, "flat")
    assert rows(one, "blank") == [[6]]


def test_small_and_slim_files_are_outliers(tmp_path: Path) -> None:
    write_images(tmp_path, [f"{i}.png" for i in range(8)], side=40)
    write_images(tmp_path, ["small.png"], side=10)
    Image.new("L", (120, 40), 7).save(tmp_path / "slim.png")
    files = (*(tmp_path / f"{i}.png" for i in range(8)), tmp_path / "small.png", tmp_path / "slim.png")
    one = replace(raw([0, 1] * 5), files=files)
    assert rows(one, "small") == [[8]]
    assert rows(one, "slim") == [[9]]


def test_rows_that_are_no_files_have_no_file_sizes() -> None:
    assert {"small", "slim"}.isdisjoint(problem.name for problem in problems(raw([0, 1])))


def test_a_swapped_label_is_suspected_and_the_clearest_comes_first() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 300)
    probs = np.full((300, 3), 0.1)
    probs[np.arange(300), true] = 0.8
    labels = true.copy()
    labels[[5, 50]] = (labels[[5, 50]] + 1) % 3
    probs[50] = 0.02
    probs[50, true[50]] = 0.96
    found = suspects(probs, labels, np.arange(300) + 1000)
    assert found.rows == ((1050,), (1005,))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 6))
def test_a_row_whose_label_is_most_probable_is_never_suspected(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(classes), 60)
    labels = rng.integers(0, classes, 60)
    found = {row for (row,) in suspects(probs, labels, np.arange(60)).rows}
    assert not found & set(np.flatnonzero(probs.argmax(1) == labels).tolist())
