"""Dimensions refuse what makes no sense; a space asks for what applies, and only for that, in a good order."""

from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferhpo.errors import UsageError
from ferhpo.space.config import SETTINGS, TrialConfig
from ferhpo.space.space import Dimension, Space, dimension_from_toml

OPTIMIZER = Dimension(name="optimizer", choices=("sgd", "adamw"), default="adamw")
LR = Dimension(name="lr", low=1e-4, high=0.1, log=True, default=0.01)
MOMENTUM = Dimension(name="momentum", low=0.5, high=0.99, default=0.9)
LOSS = Dimension(name="loss", choices=("cross_entropy", "label_smoothing", "focal"), default="cross_entropy")
SMOOTHING = Dimension(name="smoothing", low=0.0, high=0.2, default=0.1)
GAMMA = Dimension(name="focal_gamma", low=0.5, high=2.0, default=1.0)
BATCH = Dimension(name="batch_size", low=32, high=128, step=32, default=64)
WIDE = Dimension(name="dropout", low=0.2, high=0.5, default=0.3, when={"width": (32,)})
WIDTH = Dimension(name="width", choices=(16, 32), default=16)
ALL = (GAMMA, WIDE, SMOOTHING, LOSS, MOMENTUM, WIDTH, LR, BATCH, OPTIMIZER)
# what a dimension or a setting depends on, by the meaning of the settings
NEEDS = {
    "momentum": ("optimizer", "sgd"),
    "smoothing": ("loss", "label_smoothing"),
    "focal_gamma": ("loss", "focal"),
    "dropout": ("width", 32),
}


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


def sample(
    space: Space, study: optuna.Study, given: dict[str, Any] | None = None
) -> tuple[TrialConfig, dict[str, Any]]:
    """Sample a configuration, some values given; return what was asked for as well."""
    study.enqueue_trial(given or {})
    trial = study.ask()
    return space.sample(trial), trial.params


def refuses(message: str, **kwargs: Any) -> None:
    with pytest.raises(UsageError, match=message):
        Dimension(**{"name": "lr", "default": 0.1, **kwargs})


def test_the_default_trial_has_the_default_of_every_dimension_that_applies() -> None:
    defaults = Space(dimensions=ALL).defaults()
    assert defaults == {"optimizer": "adamw", "lr": 0.01, "loss": "cross_entropy", "width": 16, "batch_size": 64}


def test_the_default_configuration_is_the_default_trials() -> None:
    space = Space(dimensions=ALL, fixed={"patience": 3})
    config = space.default_config()
    assert {name: getattr(config, name) for name in space.defaults()} == space.defaults()
    assert config.patience == 3


def test_a_dimension_that_does_not_apply_has_its_default() -> None:
    assert Space(dimensions=ALL).default_config().dropout == 0.3


def test_a_sampled_configuration_holds_what_was_asked_and_nothing_else_was_asked(study: optuna.Study) -> None:
    space = Space(dimensions=ALL)
    for _ in range(60):
        config, asked = sample(space, study)
        assert {name: getattr(config, name) for name in asked} == asked
        for name, (other, value) in NEEDS.items():
            assert (name in asked) == (getattr(config, other) == value)


def test_a_setting_is_asked_after_what_decides_whether_it_matters(study: optuna.Study) -> None:
    loss = Dimension(name="loss", choices=LOSS.choices, default="cross_entropy", when={"ema": (0.99,)})
    ema = Dimension(name="ema", choices=(0.0, 0.99), default=0.99)
    space = Space(dimensions=(SMOOTHING, loss, ema))
    assert [d.name for d in space.dimensions] == ["ema", "loss", "smoothing"]
    _, asked = sample(space, study, {"ema": 0.99, "loss": "label_smoothing"})
    assert "smoothing" in asked


def test_the_order_does_not_depend_on_how_the_file_is_written() -> None:
    ordered = [d.name for d in Space(dimensions=ALL).dimensions]
    assert [d.name for d in Space(dimensions=tuple(reversed(ALL))).dimensions] == ordered
    for dimension in ALL:
        assert all(ordered.index(other) < ordered.index(dimension.name) for other in dimension.when)


def test_a_condition_on_a_fixed_setting_holds_for_every_trial_or_none() -> None:
    assert "dropout" in Space(dimensions=(WIDE,), fixed={"width": 32}).defaults()
    assert "dropout" not in Space(dimensions=(WIDE,), fixed={"width": 16}).defaults()


def test_every_fixed_setting_reaches_the_trial(study: optuna.Study) -> None:
    config, asked = sample(Space(dimensions=(LR,), fixed={"arch": "vgg8", "flip": 0.5}), study)
    assert (config.arch, config.flip) == ("vgg8", 0.5)
    assert set(asked) == {"lr"}


def test_conditions_in_a_circle_are_refused() -> None:
    width = Dimension(name="width", choices=(16, 32), default=16, when={"dropout": (0.3,)})
    with pytest.raises(UsageError, match=r"must not go in a circle, got .*width.*; remove one `when`"):
        Space(dimensions=(width, WIDE))


def test_a_condition_against_the_nature_of_a_setting_is_a_circle() -> None:
    loss = Dimension(name="loss", choices=LOSS.choices, default="focal", when={"focal_gamma": (1.0,)})
    with pytest.raises(UsageError, match="must not go in a circle"):
        Space(dimensions=(loss, GAMMA))


def test_an_unknown_or_wrong_fixed_setting_is_refused() -> None:
    with pytest.raises(UsageError, match="got 'learning_rate'"):
        Space(fixed={"learning_rate": 0.1})
    with pytest.raises(UsageError, match="lr must be at least"):
        Space(fixed={"lr": -1})


@pytest.mark.parametrize("name", ["epochs", "seed"])
def test_what_belongs_to_the_study_is_neither_searched_nor_fixed(name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} cannot be searched: it belongs to the study"):
        Dimension(name=name, low=1, high=5, default=2)
    with pytest.raises(UsageError, match=rf"{name} cannot be set here: it belongs to the study"):
        Space(fixed={name: 3})


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
        ("the default of lr must be between low=0.2 and high=1.0, got 0.1", {"low": 0.2, "high": 1}),
        ("lr needs a step above 0", {"low": 0.1, "high": 1, "step": 0}),
        ("lr needs a step above 0", {"low": 0.1, "high": 1, "step": -0.1}),
        ("lr needs a step above 0, at most high - low", {"low": 0.1, "high": 1, "step": 2}),
        ("lr needs a step above 0", {"low": 0.1, "high": 1, "step": "a"}),
        ("lr needs a step above 0", {"low": 0.1, "high": 1, "step": float("inf")}),
        ("no log beside it", {"low": 0.1, "high": 1, "step": 0.1, "log": True}),
        ("the high of lr must be low and a whole number of steps", {"low": 0.1, "high": 1, "step": 0.4}),
        ("the default of lr must be low and a whole", {"low": 0.1, "high": 1.1, "step": 0.5, "default": 0.2}),
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


NUMBERS = [s for s in SETTINGS.values() if s.kind in {int, float} and s.high and s.name not in {"epochs", "seed"}]


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


def test_conditional_dimensions_are_those_that_another_one_switches_off() -> None:
    assert set(Space(dimensions=ALL).conditional) == {"momentum", "smoothing", "focal_gamma", "dropout"}
    assert Space(dimensions=(LR, MOMENTUM), fixed={"optimizer": "sgd"}).conditional == ()


def test_a_dimension_that_always_or_never_applies_is_not_conditional() -> None:
    head = Dimension(name="head", choices=(0, 64), default=0)
    activation = Dimension(name="activation", choices=("relu", "gelu"), default="relu")
    both = (head, activation)
    assert Space(dimensions=both, fixed={"arch": "timm:a"}).conditional == ("activation",)
    assert Space(dimensions=both).conditional == ()
    never = Dimension(name="optimizer", choices=("adam", "adamw"), default="adam")
    assert Space(dimensions=(never, MOMENTUM)).conditional == ()


def test_the_head_is_asked_before_the_activation_that_depends_on_it() -> None:
    late = Dimension(name="head", choices=(0, 64), default=0, when={"schedule": ("cosine",)})
    schedule = Dimension(name="schedule", choices=("cosine", "constant"), default="cosine")
    activation = Dimension(name="activation", choices=("relu", "gelu"), default="relu")
    order = [d.name for d in Space(dimensions=(activation, late, schedule)).dimensions]
    assert order.index("head") < order.index("activation")


@pytest.mark.parametrize(
    ("dimensions", "fixed", "unreachable"),
    [
        (ALL, {}, ()),
        ((SMOOTHING, LR), {"loss": "focal"}, ("smoothing",)),
        ((SMOOTHING, GAMMA), {"loss": "label_smoothing"}, ("focal_gamma",)),
        ((WIDE,), {"width": 16}, ("dropout",)),
        ((WIDE, Dimension(name="width", low=16, high=64, default=16)), {}, ()),
        ((WIDE, Dimension(name="width", low=40, high=64, default=40)), {}, ("dropout",)),
        (
            (Dimension(name="activation", choices=("relu", "gelu"), default="relu"),),
            {"arch": "timm:a"},
            ("activation",),
        ),
        ((Dimension(name="activation", choices=("relu",), default="relu"),), {"arch": "timm:a", "head": 64}, ()),
        ((Dimension(name="decay_after", low=0, high=9, default=0),), {"schedule": "exponential"}, ("decay_after",)),
        ((Dimension(name="temperature", low=1, high=9, default=2.0),), {}, ("temperature",)),
        (
            (
                Dimension(name="temperature", low=1, high=9, default=2.0),
                Dimension(name="distill", low=0, high=1, default=0.0),
            ),
            {},
            (),
        ),
    ],
)
def test_a_dimension_that_no_trial_is_asked_for_is_known(
    dimensions: tuple[Dimension, ...], fixed: dict[str, Any], unreachable: tuple[str, ...]
) -> None:
    assert Space(dimensions=dimensions, fixed=fixed).unreachable == unreachable


def test_a_grid_has_every_choice_and_step_and_even_points_of_a_range() -> None:
    assert OPTIMIZER.grid(5) == ("sgd", "adamw")
    assert BATCH.grid(2) == (32, 64, 96, 128)
    assert LR.grid(4) == pytest.approx((1e-4, 1e-3, 1e-2, 0.1))
    assert Dimension(name="width", low=4, high=6, default=4).grid(7) == (4, 5, 6)
    assert SMOOTHING.grid(3) == (0.0, 0.1, 0.2)
