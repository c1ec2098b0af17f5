"""What may change in a study file between two runs, and what needs a new name."""

import pytest

from ferhpo.errors import SpecError
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.study.compatible import check_compatible

BEFORE = """\
metric = "accuracy"
[data]
size = 48
[budget]
epochs = 3
trials = 4
[sampler]
name = "random"
[space]
arch = "resnet9s"
lr = { low = 0.001, high = 1.0, log = true, default = 0.1 }
dropout = { low = 0.0, high = 0.9, default = 0.2 }
width = { choices = [16, 32], default = 16 }
"""


def spec(*change: str) -> StudySpec:
    old, new = change or ("", "")
    assert old in BEFORE
    return parse_spec(BEFORE.replace(old, new, 1), name="toy", path="toy.toml")


STORED = {d.name: d.distribution() for d in spec().space.dimensions}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("trials = 4", "trials = 40"),
        ("trials = 4", 'timeout = "2h"'),
        ("trials = 4", "max_failures = 2"),
        ('name = "random"', 'name = "tpe"'),
        ("[space]", '[scheduler]\nname = "none"\n[space]'),
        ("size = 48", 'size = 48\npath = "elsewhere"'),
        ('arch = "resnet9s"', 'arch = "vgg8"'),
        ("low = 0.001", "low = 0.01"),
        ("high = 0.9", "high = 0.5"),
        ("high = 0.9", "high = 0.9, step = 0.1"),
        ("default = 0.1 ", "default = 0.2 "),
        ("dropout = { low = 0.0, high = 0.9, default = 0.2 }\n", ""),
        ("dropout = { low = 0.0, high = 0.9, default = 0.2 }", "dropout = 0.3"),
        ('arch = "resnet9s"', 'arch = { choices = ["vgg8", "resnet9s"], default = "vgg8" }'),
        ("metric", "seed = 4\nmetric"),
        ("metric", "# a remark\nmetric"),
    ],
)
def test_what_leaves_old_trials_comparable_may_change(old: str, new: str) -> None:
    check_compatible(spec(), spec(old, new), STORED)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('metric = "accuracy"', 'metric = "nll"', r"toy\.toml:1: a study keeps its metric"),
        ('metric = "accuracy"', 'metric = ["accuracy", "params"]', r"toy\.toml:1: a study keeps its metric"),
        ("[data]", 'constraints = ["params <= 5"]\n[data]', r"toy\.toml:2: a study keeps its constraints"),
        ("size = 48", "size = 32", r"toy\.toml:2: a study keeps its data"),
        ("size = 48", "val = 0.3", r"toy\.toml:2: a study keeps its data"),
        ("size = 48", 'format = "synthetic"', r"toy\.toml:2: a study keeps its data"),
        ("size = 48", "test = 0.3", r"toy\.toml:2: a study keeps its data"),
        ('metric = "accuracy"', 'direction = "minimize"\nmetric = "nll"', r"toy\.toml:2: a study keeps its metric"),
        ("epochs = 3", "epochs = 4", r"toy\.toml:5: a study keeps its epochs in \[budget\]"),
        ("log = true", "log = false", r"toy\.toml:11: .* the kind of range of lr"),
        ("choices = [16, 32]", "low = 16, high = 32", r"toy\.toml:13: .* of width"),
    ],
)
def test_what_makes_trials_incomparable_needs_a_new_name(old: str, new: str, message: str) -> None:
    with pytest.raises(SpecError, match=message + ".*copy the study file to a new name"):
        check_compatible(spec(), spec(old, new), STORED)


@pytest.mark.parametrize("choices", ["[32, 16]", "[16, 32, 64]", "[16]", "[64, 16]"])
def test_choices_may_change(choices: str) -> None:
    check_compatible(spec(), spec("[16, 32]", choices), STORED)


def test_the_kind_of_an_earlier_run_is_kept_even_if_the_last_run_did_not_search_it() -> None:
    fixed = spec("width = { choices = [16, 32], default = 16 }", "width = 16")
    with pytest.raises(SpecError, match=r"a study keeps the kind of range of width"):
        check_compatible(fixed, spec("choices = [16, 32]", "low = 16, high = 32"), STORED)


def test_the_time_of_a_trial_stays() -> None:
    begun = BEFORE.replace("[space]", '[scheduler]\nname = "none"\n[space]')
    old = parse_spec(begun.replace("trials = 4", 'trials = 4\ntrial_time = "9s"'), name="toy", path="toy.toml")
    new = parse_spec(begun.replace("trials = 4", 'trials = 4\ntrial_time = "90s"'), name="toy", path="toy.toml")
    with pytest.raises(SpecError, match=r"toy\.toml:7: a study keeps its trial_time in \[budget\], which changed"):
        check_compatible(old, new, STORED)
