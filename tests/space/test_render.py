"""A study written as text is read back as the same study."""

from dataclasses import replace

import pytest

from ferhpo.space.render import render
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.study.find import packaged
from tests.space.test_spec import WHOLE

FILES = sorted(packaged().rglob("*.toml"))
CONDITIONS = """
description = 'it says "never" \\ twice'
[reported]
test_loss = [1.5, 1.3]
[space]
optimizer = { choices = ["sgd", "adam"], default = "sgd" }
momentum = { low = 0.5, high = 0.9, step = 0.1, default = 0.6, when = { optimizer = "sgd" } }
width = { low = 8, high = 64, log = true, default = 16 }
pretrained = { choices = [true, false], default = false }
flip = 0.5
[[try]]
optimizer = "adam"
width = 32
"""


def bare(spec: StudySpec) -> StudySpec:
    return replace(spec, text="", path="", name="x")


@pytest.mark.parametrize("text", [p.read_text() for p in FILES] + [WHOLE, CONDITIONS, ""])
def test_a_study_is_read_back_equal(text: str) -> None:
    spec = parse_spec(text, name="x")
    assert bare(parse_spec(render(spec), name="x")) == bare(spec)
