"""A configuration is complete and checked, and survives JSON unchanged."""

import pytest
from hypothesis import given, settings

from ferhpo.errors import UsageError
from ferhpo.space.config import OFF_DIAL, OPERATIONS, SETTINGS, TrialConfig
from tests.space.drawn import CONFIGS

DIAL = [o for o in OPERATIONS if o not in OFF_DIAL]


@settings(max_examples=60, deadline=None)
@given(CONFIGS)
def test_a_config_survives_json(config: TrialConfig) -> None:
    assert TrialConfig.from_json(config.to_json()) == config
    assert "\n" not in config.to_json()


@settings(max_examples=30, deadline=None)
@given(CONFIGS)
def test_params_rebuild_the_config_and_name_every_setting(config: TrialConfig) -> None:
    assert TrialConfig.from_params(config.params()) == config
    assert list(config.params()) == list(SETTINGS)


def test_the_default_of_every_setting_is_accepted() -> None:
    assert TrialConfig.from_params({}) == TrialConfig()


def test_every_setting_says_what_it_means() -> None:
    assert all(setting.doc for setting in SETTINGS.values())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match="lr must be at least 1e-07 and at most 10, got"):
        TrialConfig(lr=value)


def test_a_whole_number_serves_as_a_number() -> None:
    lr = TrialConfig(lr=1).lr
    assert (lr, type(lr)) == (1.0, float)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lr", "0.1", "lr takes a number, got '0.1'"),
        ("lr", True, "lr takes a number, got True"),
        ("lr", None, "lr takes a number, got None"),
        ("width", 32.0, r"width takes a whole number, got 32\.0"),
        ("width", True, "width takes a whole number, got True"),
        ("pretrained", 1, "pretrained takes true or false, got 1"),
        ("arch", 9, "arch takes a text, got 9"),
        ("optimizer", "adamv", "optimizer must be a known one, got 'adamv'; did you mean 'adam'"),
        ("flip", "on", "flip takes a number, got 'on'"),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrialConfig.from_params({name: value})


def test_an_unknown_setting_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="a setting must be a known one, got 'drop_out'; did you mean 'dropout'"):
        TrialConfig.from_params({"drop_out": 0.1})


def test_a_changed_copy_leaves_the_original() -> None:
    config = TrialConfig()
    assert config.with_params({"lr": 0.5}).lr == 0.5
    assert config.lr == 0.1


@pytest.mark.parametrize("name", ["learning_rate", ""])
def test_a_changed_copy_takes_known_settings_only(name: str) -> None:
    with pytest.raises(UsageError, match="a setting must be a known one"):
        TrialConfig().with_params({name: 1})


@pytest.mark.parametrize("operation", DIAL)
def test_the_dial_turns_the_common_augmentations(operation: str) -> None:
    assert TrialConfig(augment=0.3).strength(operation) == 0.3


@pytest.mark.parametrize("operation", OFF_DIAL)
def test_the_dial_leaves_uncommon_augmentations_off(operation: str) -> None:
    assert TrialConfig(augment=1.0).strength(operation) == 0.0


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("own", [0.0, 0.7])
def test_an_operations_own_strength_goes_before_the_dial(operation: str, own: float) -> None:
    assert TrialConfig(augment=0.3).with_params({operation: own}).strength(operation) == own
