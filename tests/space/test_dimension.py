"""Dimensions refuse what makes no sense, and ask a trial for what the configuration accepts."""

from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferhpo.errors import UsageError
from ferhpo.space.config import SETTINGS, TrialConfig
from ferhpo.space.dimension import Dimension, dimension_from_toml

NUMBERS = [s for s in SETTINGS.values() if s.kind in {int, float} and s.high and s.name not in {"epochs", "seed"}]


def refuses(message: str, **kwargs: Any) -> None:
    with pytest.raises(UsageError, match=message):
        Dimension(**{"name": "lr", "default": 0.1, **kwargs})


@pytest.mark.parametrize("name", ["epochs", "seed"])
def test_what_belongs_to_the_study_is_not_searched(name: str) -> None:
    refuses(rf"{name} cannot be searched: it belongs to the study", name=name, low=1, high=5, default=2)


def test_an_unknown_dimension_is_refused_with_the_nearest() -> None:
    refuses("got 'drop_out'; did you mean 'dropout'", name="drop_out", low=0, high=1)


@pytest.mark.parametrize(
    ("message", "entry"),
    [
        ("lr takes either choices or low and high", {}),
        ("lr takes either choices or low and high", {"choices": (0.1,), "low": 0.1}),
        ("lr takes both low and high", {"low": 0.1}),
        ("lr takes both low and high", {"high": 0.1}),
        (r"lr needs low < high, got low=0.5, high=0.1; a fixed value is written lr = 0.5", {"low": 0.5, "high": 0.1}),
        ("lr needs low < high, got low=0.1, high=0.1", {"low": 0.1, "high": 0.1}),
        ("lr must be at least 1e-07 and at most 10, got 0.0", {"low": 0, "high": 1}),
        ("lr takes a number, got 'a'", {"low": "a", "high": 1}),
        ("lr takes a number, got True", {"low": True, "high": 2}),
        ("lr must be at least 1e-07 and at most 10, got nan", {"low": float("nan"), "high": 1}),
        ("the log of lr must be true or false, got 'no'", {"low": 0.1, "high": 1, "log": "no"}),
        ("the default of lr must be between low=0.2 and high=1, got 0.1", {"low": 0.2, "high": 1}),
        ("lr needs a step above 0", {"low": 0.1, "high": 1, "step": 0}),
        ("lr needs a step above 0", {"low": 0.1, "high": 1, "step": -0.1}),
        ("lr needs a step above 0, at most high - low", {"low": 0.1, "high": 1, "step": 2}),
        ("lr needs a step above 0", {"low": 0.1, "high": 1, "step": "a"}),
        ("lr needs a step above 0", {"low": 0.1, "high": 1, "step": float("inf")}),
        ("no log beside it", {"low": 0.1, "high": 1, "step": 0.1, "log": True}),
        ("the high of lr must be low and a whole number of steps", {"low": 0.1, "high": 1, "step": 0.4}),
        ("the default of lr must be low=0.1 and a whole", {"low": 0.1, "high": 1.1, "step": 0.5, "default": 0.2}),
        ("the default of lr must be one of its choices", {"choices": (0.2, 0.3)}),
        ("lr must list each choice once", {"choices": (0.1, 0.1)}),
        ("lr is a choice and takes neither log nor step", {"choices": (0.1, 0.2), "log": True}),
        ("lr is a choice and takes neither log nor step", {"choices": (0.1, 0.2), "step": 0.1}),
        ("lr must be at least", {"choices": (0.1, -0.2)}),
        ("lr takes a number, got 'fast'", {"choices": (0.1, "fast")}),
        (r"lr takes a number, got \[1\]", {"choices": (0.1, [1])}),
        ("got 'optimiser'; did you mean 'optimizer'", {"low": 0.1, "high": 1, "when": {"optimiser": ("sgd",)}}),
        ("optimizer must be a known one, got 'sdg'", {"low": 0.1, "high": 1, "when": {"optimizer": ("sdg",)}}),
        ("needs at least one value of optimizer", {"low": 0.1, "high": 1, "when": {"optimizer": ()}}),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(message: str, entry: dict[str, Any]) -> None:
    refuses(message, **entry)


def test_a_logarithmic_range_from_zero_is_refused() -> None:
    refuses("dropout with log = true needs low > 0, got low=0", name="dropout", low=0, high=0.5, log=True)


@pytest.mark.parametrize("name", ["arch", "pretrained"])
def test_a_setting_that_is_no_number_has_no_range(name: str) -> None:
    refuses(f"{name} takes choices", name=name, low=0, high=1)


def test_whole_numbers_take_whole_bounds_and_steps() -> None:
    refuses(r"width takes a whole number, got 16\.5", name="width", low=16.5, high=32, default=20)
    refuses("width needs a step above 0", name="width", low=16, high=32, step=0.5, default=16)


@pytest.mark.parametrize(
    ("message", "entry"),
    [
        ("lr has an unknown key 'lo'; did you mean 'low'", {"lo": 0.1, "high": 1, "default": 0.2}),
        ("lr has an unknown key 'name'", {"name": "x", "default": 0.2}),
        ("lr needs a default", {"low": 0.1, "high": 1}),
        (r"the choices of lr must be a list with at least one value, got \[\]", {"choices": [], "default": 1}),
        ("the choices of lr must be a list with at least one value, got 'ab'", {"choices": "ab", "default": 1}),
        ("the `when` of lr must be a table", {"low": 0.1, "high": 1, "default": 0.2, "when": "sgd"}),
    ],
)
def test_an_inline_table_that_makes_no_sense_is_refused(message: str, entry: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=message):
        dimension_from_toml("lr", entry)


def test_an_inline_table_becomes_a_dimension() -> None:
    entry = {"low": 0.1, "high": 1, "default": 0.2, "when": {"optimizer": "sgd", "loss": ["focal"]}}
    found = dimension_from_toml("lr", entry)
    assert found == Dimension(name="lr", low=0.1, high=1, default=0.2, when={"optimizer": ("sgd",), "loss": ("focal",)})


def test_a_value_of_the_smallest_range_is_a_number_of_python() -> None:
    sampler = optuna.samplers.RandomSampler(seed=0)
    dimension = Dimension(name="clip", low=0.0, high=5e-324, default=0.0)
    assert type(dimension.suggest(optuna.create_study(sampler=sampler).ask())) is float


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_value_of_every_range_is_accepted_by_the_configuration(data: st.DataObject) -> None:
    setting = data.draw(st.sampled_from(NUMBERS))
    assert setting.low is not None
    assert setting.high is not None
    bounds = (
        st.integers(int(setting.low), int(setting.high))
        if setting.kind is int
        else st.floats(setting.low, setting.high)
    )
    low, high = sorted(data.draw(st.lists(bounds, min_size=2, max_size=2, unique=True)))
    log = data.draw(st.booleans()) and low > 0
    dimension = Dimension(
        name=setting.name, low=low, high=high, log=log, default=data.draw(st.sampled_from([low, high]))
    )
    value = dimension.suggest(optuna.create_study().ask())
    assert low <= value <= high
    assert TrialConfig.from_params({setting.name: value}).params()[setting.name] == value


def test_a_grid_has_every_choice_and_step_and_even_points_of_a_range() -> None:
    assert Dimension(name="optimizer", choices=("sgd", "adamw"), default="adamw").grid(5) == ("sgd", "adamw")
    assert Dimension(name="batch_size", low=32, high=128, step=32, default=64).grid(2) == (32, 64, 96, 128)
    assert Dimension(name="lr", low=1e-4, high=0.1, log=True, default=0.01).grid(4) == pytest.approx(
        (1e-4, 1e-3, 1e-2, 0.1)
    )
    assert Dimension(name="width", low=4, high=6, default=4).grid(7) == (4, 5, 6)
    assert Dimension(name="smoothing", low=0.0, high=0.2, default=0.1).grid(3) == (0.0, 0.1, 0.2)
