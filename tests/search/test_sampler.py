import optuna
import pytest

from ferhpo.search.sampler import sampler
from ferhpo.space.spec import SAMPLERS, SamplerSpec


def draws(name: str, seed: int, done: int) -> list[float]:
    study = optuna.create_study(sampler=sampler(SamplerSpec(name=name), seed, done))
    return [study.ask().suggest_float("lr", 0, 1) for _ in range(3)]


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_same_seed_draws_the_same_points(name: str) -> None:
    assert draws(name, 7, 0) == draws(name, 7, 0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_search_that_goes_on_draws_other_points_than_at_its_start(name: str) -> None:
    assert draws(name, 7, 0) != draws(name, 7, 5)
