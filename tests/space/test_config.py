"""A configuration is complete and checked, and survives JSON and the command line unchanged."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferhpo.errors import UsageError
from ferhpo.space.config import OFF_DIAL, OPERATIONS, SETTINGS, Setting, TrialConfig, parse_assignment

DIAL = [o for o in OPERATIONS if o not in OFF_DIAL]
NUMBERS = [s for s in SETTINGS.values() if s.kind in {int, float}]


def allowed(setting: Setting) -> st.SearchStrategy[Any]:
    """Return every value that a setting accepts."""
    if setting.choices:
        values: st.SearchStrategy[Any] = st.sampled_from(setting.choices)
    elif setting.kind is bool:
        values = st.booleans()
    elif setting.kind is int:
        assert setting.low is not None
        values = st.integers(int(setting.low), None if setting.high is None else int(setting.high))
    elif setting.kind is float:
        values = st.floats(setting.low, setting.high, allow_nan=False, allow_infinity=False)
    else:
        values = st.text()
    return st.none() | values if setting.optional else values


CONFIGS = st.fixed_dictionaries({}, optional={name: allowed(s) for name, s in SETTINGS.items()}).map(
    TrialConfig.from_params
)


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


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_set_reads_what_the_config_has(data: st.DataObject) -> None:
    setting = data.draw(st.sampled_from(list(SETTINGS.values())))
    value = data.draw(allowed(setting))
    text = value if isinstance(value, str) else json.dumps(value)
    assert parse_assignment(f"{setting.name}={text}") == (setting.name, value)


def test_the_default_of_every_setting_is_accepted() -> None:
    assert TrialConfig.from_params({}) == TrialConfig()


def test_every_setting_says_what_it_means() -> None:
    assert all(setting.doc for setting in SETTINGS.values())


@pytest.mark.parametrize("setting", [s for s in NUMBERS if s.low is not None], ids=lambda s: s.name)
def test_a_value_below_the_lowest_is_refused(setting: Setting) -> None:
    assert setting.low is not None
    with pytest.raises(UsageError, match=f"^{setting.name} must be at least {setting.low:g}"):
        setting.check(setting.kind(setting.low - 1))


@pytest.mark.parametrize("setting", [s for s in NUMBERS if s.high is not None], ids=lambda s: s.name)
def test_a_value_above_the_highest_is_refused(setting: Setting) -> None:
    assert setting.high is not None
    with pytest.raises(UsageError, match=f"^{setting.name} must be at least .* and at most {setting.high:g}, got"):
        setting.check(setting.kind(setting.high + 1))


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr=0.05", ("lr", 0.05)),
        ("lr=5e-4", ("lr", 5e-4)),
        ("lr=1", ("lr", 1.0)),
        ("arch=timm:resnet18.a1_in1k", ("arch", "timm:resnet18.a1_in1k")),
        ("weights=/a=b.safetensors", ("weights", "/a=b.safetensors")),
        ("pretrained=True", ("pretrained", True)),
        ("pretrained=false", ("pretrained", False)),
        ("flip=null", ("flip", None)),
    ],
)
def test_an_assignment_is_read_in_the_type_of_its_setting(text: str, expected: tuple[str, object]) -> None:
    assert parse_assignment(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr", "--set takes name=value, got 'lr'"),
        ("lrr=1", "got 'lrr'; did you mean 'lr'"),
        ("lr=", "lr takes a number, got ''"),
        ("lr=fast", "lr takes a number, got 'fast'"),
        ("lr=nan", "lr takes a number, got 'nan'"),
        ("lr=[1]", r"lr takes a number, got \[1\]"),
        ("width=16.5", r"width takes a whole number, got 16\.5"),
        ("pretrained=yes", "pretrained takes true or false, got 'yes'"),
        ("loss=focl", "did you mean 'focal'"),
        ("dropout=0.99", "dropout must be at least 0 and at most 0.95"),
    ],
)
def test_an_assignment_that_does_not_fit_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_assignment(text)


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
