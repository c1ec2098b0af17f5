from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferhpo.metrics import Metric, metric
from ferhpo.space.config import SCHEDULES, TrialConfig
from ferhpo.training.schedule import GROWN, Plateau, factor, size, sizes

names = st.sampled_from(SCHEDULES)
ACCURACY, NLL = metric("accuracy"), metric("nll")


@given(names, st.floats(-1, 2), st.floats(0, 100), st.integers(0, 20), st.none() | st.floats(0, 10))
def test_a_factor_never_leaves_zero_to_one(
    name: str, progress: float, passes: float, drops: int, decay: float | None
) -> None:
    config = TrialConfig(schedule=name, decay=decay)
    assert 0 <= factor(config, progress, passes=passes, drops=drops) <= 1


@given(st.sampled_from([name for name in SCHEDULES if name != "triangular"]), st.floats(0.2, 1), st.floats(0.2, 1))
def test_after_the_warm_up_a_factor_never_rises(name: str, a: float, b: float) -> None:
    config = TrialConfig(schedule=name)
    assert factor(config, min(a, b)) >= factor(config, max(a, b)) - 1e-12


@given(st.floats(0, 0.2), st.floats(0, 0.2))
def test_onecycle_rises_during_the_first_fifth(a: float, b: float) -> None:
    config = TrialConfig(schedule="onecycle")
    assert factor(config, min(a, b)) <= factor(config, max(a, b)) + 1e-12


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("onecycle", [0, 0.5, 1, 0.5, 0]),
        ("cosine", [1, 0.975528, 0.904508, 0.345492, 0]),
        ("triangular", [0, 0.4, 0.8, 0.4, 0]),
        ("exponential", [1, 0.630957, 0.398107, 0.0630957, 0.01]),
        ("plateau", [1, 1, 1, 1, 1]),
        ("constant", [1, 1, 1, 1, 1]),
    ],
)
def test_schedules_go_by_the_hand_table(name: str, values: list[float]) -> None:
    config = TrialConfig(schedule=name)
    assert [factor(config, p) for p in (0, 0.1, 0.2, 0.6, 1)] == pytest.approx(values, abs=1e-6)


@given(st.integers(1, 9), st.floats(0, 1))
def test_triangular_reaches_the_peak_once_a_cycle_and_ends_at_zero(cycles: int, progress: float) -> None:
    config = TrialConfig(schedule="triangular", cycles=cycles)
    assert factor(config, 0) == factor(config, 1) == 0
    assert factor(config, 0.5 / cycles) == pytest.approx(1)
    assert factor(config, progress) == pytest.approx(factor(config, 1 - progress), abs=1e-9)


def test_exponential_goes_by_its_own_rate_after_its_own_epochs() -> None:
    config = TrialConfig(schedule="exponential", decay=0.1, decay_after=10, epochs=30)
    lr = [factor(config, (epoch + share) / 30, passes=epoch + share) for epoch in range(30) for share in (0.0, 0.9)]
    want = [1.0] * 10 + [exp(-0.1 * (epoch - 9)) for epoch in range(10, 30)]
    assert lr[::2] == lr[1::2] == want


def test_plateau_lowers_the_rate_by_its_factor_at_every_drop() -> None:
    config = TrialConfig(schedule="plateau", plateau_factor=0.2)
    assert [factor(config, 0.5, drops=n) for n in range(3)] == pytest.approx([1, 0.2, 0.04])


@pytest.mark.parametrize(("metric", "sign"), [(ACCURACY, 1), (NLL, -1)])
def test_a_plateau_drops_after_so_many_epochs_that_are_no_better_and_waits_anew(metric: Metric, sign: int) -> None:
    seen, drops = Plateau(), []
    for value in (1, 2, 2, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4):
        seen = seen.after(sign * value, metric, 2)
        drops.append(seen.drops)
    assert drops == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5]


@given(st.integers(8, 300), st.floats(0.25, 1), st.floats(0, 1), st.floats(0, 1))
def test_images_grow_in_multiples_of_eight_up_to_the_size_of_the_validation(
    pixels: int, grow: float, a: float, b: float
) -> None:
    config = TrialConfig(image_size=pixels, grow=grow)
    early, late = size(config, min(a, b)), size(config, max(a, b))
    assert 8 <= early <= late <= pixels
    assert early % 8 == 0 or early == pixels
    assert size(config, GROWN) == size(config, 1) == pixels
    assert abs(size(config, 0) - grow * pixels) <= 8


def test_images_have_their_full_size_from_the_start_unless_they_grow() -> None:
    assert size(TrialConfig(image_size=50), 0) == 50


@given(st.integers(8, 300), st.floats(0.25, 1))
def test_the_sizes_of_a_training_are_those_that_it_goes_through(pixels: int, grow: float) -> None:
    config = TrialConfig(image_size=pixels, grow=grow)
    assert sizes(config) == sorted({size(config, p / 1000) for p in range(1001)})
