"""Faces aligned by their eyes: the arithmetic is ours, a made-up finder knows where the eyes are."""

import cmath
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from ferhpo.data import align
from ferhpo.data.align import WANTED, Eyes, aligned, eyes_among, turned
from ferhpo.errors import UsageError
from tests.data.made_up import raw

SIDE = 40


def face(eyes: Eyes, channels: int = 1) -> np.ndarray:
    """Return a dark image with a bright spot on each eye."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    spots = np.sum([np.exp(-((x - e.real * SIDE) ** 2 + (y - e.imag * SIDE) ** 2) / 4) for e in eyes], 0)
    return np.repeat((40 + 200 * spots).clip(0, 255).astype(np.uint8)[..., None], channels, axis=2)


def spots(image: np.ndarray) -> Eyes:
    """Return where the bright spots of the left and the right half are."""
    light = image[..., 0].astype(float) - 60
    light[light < 0] = 0
    at = np.arange(SIDE) + 0.5
    found = []
    for half in (slice(0, SIDE // 2), slice(SIDE // 2, SIDE)):
        part = light[:, half]
        found.append(complex((part.sum(0) @ at[half]) / part.sum(), (part.sum(1) @ at) / part.sum()) / SIDE)
    return found[0], found[1]


@pytest.mark.parametrize("degrees", [0, 25, -25])
@pytest.mark.parametrize("apart", [0.25, 0.4, 0.5])
@pytest.mark.parametrize("channels", [1, 3])
def test_eyes_come_to_stand_where_they_are_wanted(degrees: float, apart: float, channels: int) -> None:
    middle, half = 0.55 + 0.45j, cmath.rect(apart / 2, np.deg2rad(degrees))
    eyes = (middle - half, middle + half)
    out = turned(face(eyes, channels), eyes)
    assert out.shape == (SIDE, SIDE, channels)
    assert out.dtype == np.uint8
    assert all(abs(got - want) < 0.02 for got, want in zip(spots(out), WANTED, strict=True))


def test_a_face_that_is_aligned_stays_as_it_is() -> None:
    image = face(WANTED)
    assert np.abs(turned(image, WANTED).astype(int) - image).max() <= 1


def test_what_comes_in_from_outside_repeats_the_border() -> None:
    image = np.full((SIDE, SIDE, 1), 90, np.uint8)
    assert (turned(image, (0.1 + 0.1j, 0.9 + 0.4j)) == 90).all()


def test_images_without_eyes_stay_and_the_others_are_counted() -> None:
    eyes = (0.2 + 0.3j, 0.6 + 0.5j)
    given = raw([0, 1, 0], images=np.stack([face(eyes), face(WANTED), face(eyes)]))
    before = given.images.copy()
    answers = iter([eyes, None, eyes])
    made, found = aligned(given, lambda grey: next(answers) if grey.shape == (SIDE, SIDE) else None)
    assert found == 2
    assert (made.images[1] == given.images[1]).all()
    assert (made.images[0] == turned(face(eyes), eyes)).all()
    assert (given.images == before).all()


def box(eye: complex) -> list[float]:
    return [eye.real * 100 - 8, eye.imag * 100 - 5, 16, 10]


def test_of_several_boxes_the_two_that_look_like_eyes_are_taken() -> None:
    mouth, brow = 0.5 + 0.8j, 0.32 + 0.12j
    found = eyes_among(np.array([box(mouth), box(0.7 + 0.42j), box(brow), box(0.3 + 0.4j)]), 100)
    assert found is not None
    assert np.allclose(found, (0.3 + 0.4j, 0.7 + 0.42j))


@pytest.mark.parametrize("eyes", [[], [0.3 + 0.4j], [0.3 + 0.4j, 0.32 + 0.4j], [0.3 + 0.1j, 0.5 + 0.5j]])
def test_boxes_that_are_no_pair_of_eyes_give_none(eyes: list[complex]) -> None:
    assert eyes_among(np.array([box(eye) for eye in eyes]), 100) is None


def test_without_opencv_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(align, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"got none; in ferhpo's clone run pip install '\.\[align\]'"):
        align.finder()


def test_an_opencv_without_cascades_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(align, "find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(error=RuntimeError))
    with pytest.raises(UsageError, match="got another"):
        align.finder()


def test_the_cascades_boxes_become_eyes_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def detect(image: np.ndarray, *_: object, **__: object) -> np.ndarray:
        seen.append(image.shape)
        return np.array([box(0.3 + 0.4j), box(0.7 + 0.4j)]) * 1.92

    cascade = SimpleNamespace(detectMultiScale=detect)
    monkeypatch.setattr(align, "find_spec", lambda name: True)
    monkeypatch.setattr(align, "_cascade", lambda: cascade)
    found = align.finder()(np.zeros((SIDE, SIDE), np.uint8))
    assert found is not None
    assert np.allclose(found, (0.3 + 0.4j, 0.7 + 0.4j))
    assert seen == [(192, 192)]
