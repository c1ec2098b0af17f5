"""The drawn faces: the same every time, seven expressions, FER-2013's imbalance."""

import numpy as np
import pytest

from ferhpo.data import synthetic
from ferhpo.data.raw import EXPRESSIONS, RawData, fingerprint
from ferhpo.data.splits import assign
from ferhpo.space.sections import DataSpec


@pytest.fixture(scope="module")
def raw() -> RawData:
    return synthetic.render(400)


def test_images_are_grey_and_48_pixels_wide(raw: RawData) -> None:
    assert raw.images.shape == (400, 48, 48, 1)
    assert raw.images.dtype == np.uint8
    assert raw.labels.dtype == np.int64
    assert raw.classes == EXPRESSIONS


def test_rendering_twice_gives_the_same_set() -> None:
    assert fingerprint(synthetic.render(110)) == fingerprint(synthetic.render(110))


def test_it_is_split_like_a_csv_with_all_three_usages(raw: RawData) -> None:
    names, counts = np.unique(raw.part, return_counts=True)
    assert names.tolist() == ["PrivateTest", "PublicTest", "Training"]
    assert counts / 400 == pytest.approx([0.15, 0.15, 0.7], abs=0.02)


def test_classes_are_as_rare_as_in_fer2013(raw: RawData) -> None:
    share = np.bincount(raw.labels, minlength=7) / 400
    assert share.argmin() == EXPRESSIONS.index("disgust")
    assert share.argmax() == EXPRESSIONS.index("happy")
    assert share == pytest.approx(np.array(synthetic.COUNTS) / sum(synthetic.COUNTS), abs=0.04)


@pytest.mark.parametrize("rows", [100, 101, 137])
def test_the_smallest_sets_can_be_split(rows: int) -> None:
    raw = synthetic.render(rows)
    assert len(raw.labels) == rows
    assert (np.bincount(raw.labels[assign(raw, DataSpec()).split == 0], minlength=7) > 0).all()


def test_some_labels_are_wrong_in_every_split(monkeypatch: pytest.MonkeyPatch) -> None:
    given = synthetic.render(400)
    monkeypatch.setattr(synthetic, "WRONG", 0.0)
    right = synthetic.render(400)
    wrong = given.labels != right.labels
    assert 0.02 < wrong.mean() < 0.09
    assert set(given.part[wrong]) == set(synthetic.SHARES)


def test_faces_are_neither_equal_nor_blank(raw: RawData) -> None:
    assert len({image.tobytes() for image in raw.images}) == 400
    assert raw.images.std((1, 2, 3)).min() > 3


def test_expressions_differ_in_the_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"CHANCE": 0.0, "POSE": 0.0, "OCCLUDED": 0.0, "INTENSITY": (1.0, 1.0)}.items():
        monkeypatch.setattr(synthetic, name, value)
    drawn = [synthetic._face(name, np.random.default_rng(0)).tobytes() for name in EXPRESSIONS]
    assert len(set(drawn)) == len(EXPRESSIONS)
