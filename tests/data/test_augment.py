import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from ferhpo.data.augment import _grid, augment, strengths
from ferhpo.space.config import OPERATIONS, TrialConfig

OFF: dict[str, float] = dict.fromkeys(OPERATIONS, 0.0)
quick = settings(deadline=None, max_examples=30)
some = st.fixed_dictionaries({name: st.floats(0, 1) for name in OPERATIONS})


def images(n: int = 16, channels: int = 1, size: int = 12) -> torch.Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_with_every_strength_zero_images_come_back_to_the_bit() -> None:
    assert torch.equal(augment(images(), OFF, seeded()), images())


@given(some, st.integers(0, 99), st.sampled_from([1, 3]))
@quick
def test_values_stay_in_zero_to_one_and_shapes_stay(strength: dict[str, float], seed: int, channels: int) -> None:
    out = augment(images(channels=channels), strength, seeded(seed))
    assert out.shape == (16, channels, 12, 12)
    assert out.dtype == torch.float32
    assert float(out.min()) >= -1e-6
    assert float(out.max()) <= 1 + 1e-6


@given(some, st.integers(0, 99))
@quick
def test_the_same_seed_gives_the_same_images_and_the_input_is_left_alone(strength: dict[str, float], seed: int) -> None:
    x = images()
    a, b = (augment(x, strength, seeded(seed)) for _ in range(2))
    assert torch.equal(a, b)
    assert torch.equal(x, images())


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_image_has_its_own_draw(name: str) -> None:
    x = images(1).repeat(32, 1, 1, 1)
    out = augment(x, {**OFF, name: 1.0}, seeded())
    assert len({tuple(o.flatten().tolist()) for o in out}) > (1 if "flip" in name else 20)


@pytest.mark.parametrize(("name", "axis"), [("flip", 3), ("vertical_flip", 2)])
def test_a_flip_alone_mirrors_exactly_and_about_half_of_the_images(name: str, axis: int) -> None:
    x = images(400)
    out = augment(x, {**OFF, name: 1.0}, seeded())
    flipped = (out == x.flip(axis)).flatten(1).all(1)
    same = (out == x).flatten(1).all(1)
    assert bool((flipped ^ same).all())
    assert 150 < int(flipped.sum()) < 250


def test_a_weak_flip_has_its_strength_as_its_chance() -> None:
    x = images(1000)
    out = augment(x, {**OFF, "flip": 0.1}, seeded())
    assert 60 < int((out != x).flatten(1).any(1).sum()) < 140


def test_a_flip_among_moves_mirrors_too() -> None:
    x = images(64)
    out = augment(x, {**OFF, "flip": 1.0, "shift": 1e-6}, seeded())
    near = [torch.isclose(out, want, atol=1e-3).flatten(1).all(1) for want in (x, x.flip(3))]
    assert bool((near[0] ^ near[1]).all())
    assert 16 < int(near[1].sum()) < 48


@given(st.integers(0, 99), st.integers(1, 30))
@quick
def test_a_map_is_taken_to_the_places_that_affine_grid_gives(seed: int, size: int) -> None:
    theta = torch.randn(5, 2, 3, generator=seeded(seed))
    want = functional.affine_grid(theta, [5, 1, size, size], align_corners=False)
    assert torch.allclose(_grid(theta, size), want, atol=1e-5)


@pytest.mark.parametrize("name", ["shift", "rotation", "scale", "shear"])
def test_what_moves_in_from_outside_repeats_the_border(name: str) -> None:
    x = torch.full((8, 1, 12, 12), 0.7)
    assert torch.allclose(augment(x, {**OFF, name: 1.0}, seeded()), x, atol=1e-5)


def test_a_shift_is_at_most_a_quarter_of_the_side() -> None:
    x = torch.zeros(500, 1, 24, 24)
    x[:, :, 11:13, 11:13] = 1
    out = augment(x, {**OFF, "shift": 1.0}, seeded())[:, 0]
    at = torch.arange(24) + 0.5
    centres = (out.sum(1) * at).sum(1) / out.sum((1, 2))
    assert float((centres - 12).abs().max()) <= 6.01
    assert float((centres - 12).abs().max()) > 5.5


def test_cutout_blanks_a_square_of_at_most_half_the_side_with_the_fill() -> None:
    x = torch.ones(500, 3, 24, 24)
    fill = torch.tensor([0.1, 0.2, 0.3])[:, None, None]
    out = augment(x, {**OFF, "cutout": 1.0}, seeded(), fill)
    cut = out[:, 0] != 1
    assert int(cut.any(2).sum(1).max()) <= 13
    assert int(cut.any(1).sum(1).max()) <= 13
    assert int(cut.flatten(1).sum(1).max()) > 100
    assert set(out.unique().tolist()) == set(torch.tensor([0.1, 0.2, 0.3, 1.0]).tolist())


@pytest.mark.parametrize(("name", "seen", "covered"), [("mask", slice(0, 12), 20), ("glasses", slice(14, 24), 9)])
def test_a_cover_hides_its_part_of_a_face_with_one_shade_as_often_as_its_strength(
    name: str, seen: slice, covered: int
) -> None:
    x = images(400, channels=3, size=24)
    out = augment(x, {**OFF, name: 0.25}, seeded())
    changed = (out != x).flatten(1).any(1)
    assert 70 < int(changed.sum()) < 130
    assert torch.equal(out[:, :, seen], x[:, :, seen])
    bar = out[changed][:, :, covered, 6:18].flatten(1)
    assert torch.equal(bar.amin(1), bar.amax(1))
    assert bar[:, 0].std() > 0.2


def test_brightness_moves_grey_by_at_most_two_fifths_and_contrast_not_at_all() -> None:
    x = torch.full((500, 1, 4, 4), 0.5)
    moved = augment(x, {**OFF, "brightness": 1.0}, seeded()) - x
    assert 0.35 < float(moved.abs().max()) <= 0.4 + 1e-6
    assert torch.allclose(augment(x, {**OFF, "contrast": 1.0}, seeded()), x)


def test_strengths_are_the_dials_but_for_operations_with_their_own() -> None:
    off = dict.fromkeys(("vertical_flip", "mask", "glasses"), 0.0)
    found = strengths(TrialConfig(augment=0.4, cutout=0.9, shear=0.2))
    assert found == {**dict.fromkeys(OPERATIONS, 0.4), "cutout": 0.9, "shear": 0.2} | off
