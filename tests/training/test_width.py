"""The width is the widest that gets its passes, measured; the clock is made up here."""

from typing import Any

import pytest
import torch

from ferhpo.data.cache import Prepared
from ferhpo.errors import TrainingError
from ferhpo.space.config import TrialConfig
from ferhpo.space.dimension import Dimension
from ferhpo.training import width


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Pretend that images a second fall with the square of the width; return the widths that are asked for."""
    asked: list[int] = []

    def rate(config: TrialConfig, data: Prepared, device: str) -> float:
        asked.append(config.width)
        return 64_000 / config.width**2

    monkeypatch.setattr(width, "_rate", rate)
    monkeypatch.setattr(width, "give_back", lambda _: None)  # collecting garbage takes a fifth of a second here
    return asked


def passes(found: width.Fitted, seconds: float, rows: int) -> float:
    return 64_000 / found.width**2 * seconds / rows


def test_the_widest_net_with_a_pass_for_every_two_channels_is_taken(data: Prepared, rates: list[int]) -> None:
    rows = len(data.part("train").rows)
    seconds = rows * 24**2 / 64_000 * 12.5  # 12.5 passes at width 24, which needs 12; 7.0 at 32, which needs 16
    found = width.fit(TrialConfig(), data, device="cpu", seconds=seconds)
    assert found.width == 24
    assert found.passes == pytest.approx(passes(found, seconds, rows))
    assert rates == [8, 12, 16, 24, 32]  # no wider one is timed


@pytest.mark.parametrize(
    ("given", "widths"),
    [
        ({"low": 10, "high": 40, "default": 32}, [12, 16, 24, 32]),
        ({"low": 100, "high": 160, "default": 128}, [100, 128, 160]),
        ({"choices": (32, 20), "default": 32}, [20, 32]),
    ],
)
def test_widths_are_those_of_the_dimension(given: dict[str, Any], widths: list[int]) -> None:
    assert width.offered(Dimension(name="width", **given)) == widths


def test_the_narrowest_net_serves_where_the_time_suffices_for_none(data: Prepared, rates: list[int]) -> None:
    assert width.fit(TrialConfig(), data, device="cpu", seconds=1e-6).width == 8


def test_more_time_never_makes_the_net_narrower(data: Prepared, rates: list[int]) -> None:
    found = [width.fit(TrialConfig(), data, device="cpu", seconds=0.01 * 2**k).width for k in range(12)]
    assert found == sorted(found)
    assert found[-1] > found[0]


def test_small_images_at_first_leave_time_for_a_wider_net(data: Prepared, rates: list[int]) -> None:
    config = TrialConfig(grow=0.5)
    whole, grown = (width.fit(c, data, device="cpu", seconds=1.0) for c in (TrialConfig(), config))
    assert grown.images_per_second > 1.3 * whole.images_per_second or grown.width > whole.width


@pytest.mark.parametrize("most", [8, 16])
def test_a_width_that_memory_does_not_hold_does_not_fit(
    data: Prepared, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rate(config: TrialConfig, data: Prepared, device: str) -> float:
        if config.width > most:
            raise torch.OutOfMemoryError
        return 1e6

    monkeypatch.setattr(width, "_rate", rate)
    assert width.fit(TrialConfig(), data, device="cpu", seconds=1e6).width == most
    with pytest.raises(
        TrainingError, match=r"memory of cpu, width 24 at a batch of 128 did not \(.*\); set a smaller batch_size"
    ):
        width.fit(TrialConfig(), data, [24, 32], device="cpu", seconds=1e6)


def test_other_errors_of_a_net_are_raised(data: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> float:
        msg = "mat1 and mat2 shapes cannot be multiplied"
        raise RuntimeError(msg)

    monkeypatch.setattr(width, "_rate", broken)
    with pytest.raises(RuntimeError, match="mat1"):
        width.fit(TrialConfig(), data, device="cpu", seconds=1.0)


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_a_width_is_timed_for_real_with_the_trainings_own_update(
    data: Prepared, optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[TrialConfig] = []
    real = width.for_timing
    monkeypatch.setattr(width, "for_timing", lambda config, *rest: made.append(config) or real(config, *rest))
    config = TrialConfig(image_size=8, batch_size=8, precision="fp32", optimizer=optimizer, lr=0.01, distill=0.5)
    found = width.fit(config, data, device="cpu", seconds=1e-6)
    assert [(c.optimizer, c.width) for c in made] == [(optimizer, 8), (optimizer, 12)]
    assert found.width == 8
    assert found.images_per_second > 0
    assert "width 8 fits the time" in str(found)


def test_a_training_on_attacked_images_sees_fewer_of_them(data: Prepared, rates: list[int]) -> None:
    config = TrialConfig(adversarial="pgd", adversarial_steps=4, adversarial_share=0.5)
    plain, attacked = (width.fit(c, data, [8], device="cpu", seconds=1.0) for c in (TrialConfig(), config))
    assert attacked.images_per_second == pytest.approx(plain.images_per_second / 3)
