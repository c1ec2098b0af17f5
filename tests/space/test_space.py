"""A space asks for what applies, and only for that, in a good order."""

from typing import Any

import optuna
import pytest

from ferhpo.errors import UsageError
from ferhpo.space.config import TrialConfig
from ferhpo.space.dimension import Dimension
from ferhpo.space.space import Space

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
def test_what_belongs_to_the_study_is_not_fixed(name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} cannot be set here: it belongs to the study"):
        Space(fixed={name: 3})


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
