"""What `--set` takes: a value in the type of its setting."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferhpo.cli.assignments import parse_assignment
from ferhpo.errors import UsageError
from ferhpo.space.config import SETTINGS
from tests.space.drawn import allowed


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_set_reads_what_the_config_has(data: st.DataObject) -> None:
    setting = data.draw(st.sampled_from(list(SETTINGS.values())))
    value = data.draw(allowed(setting))
    text = value if isinstance(value, str) else json.dumps(value)
    assert parse_assignment(f"{setting.name}={text}") == (setting.name, value)


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
