"""`[[try]]` tables are points of the space, or are refused with file and line."""

from pathlib import Path

import pytest

from ferhpo.errors import SpecError
from ferhpo.space.spec import parse_spec
from ferhpo.space.tries import read_tries

SPACE = """\
[space]
lr = { low = 0.001, high = 1.0, log = true, default = 0.1 }
optimizer = { choices = ["sgd", "adam"], default = "sgd" }
momentum = { low = 0.5, high = 0.9, step = 0.1, default = 0.9, when = { optimizer = "sgd" } }
arch = "resnet9s"
"""


def tried(text: str) -> list[dict[str, object]]:
    return [dict(one.params) for one in parse_spec(SPACE + text, name="toy", path="toy.toml").tries]


def test_what_a_try_leaves_out_has_its_default() -> None:
    assert tried("[[try]]\nlr = 0.5\n") == [{"lr": 0.5, "optimizer": "sgd", "momentum": 0.9}]


def test_conditions_hold_in_a_try() -> None:
    assert tried('[[try]]\noptimizer = "adam"\n') == [{"lr": 0.1, "optimizer": "adam"}]


def test_tries_keep_their_order_and_may_stand_before_the_space() -> None:
    spec = parse_spec("[[try]]\nlr = 0.5\n[[try]]\nlr = 0.2\n" + SPACE, name="toy")
    assert [one.params["lr"] for one in spec.tries] == [0.5, 0.2]


def test_a_whole_number_is_taken_for_a_number() -> None:
    assert tried("[[try]]\nlr = 1\n")[0]["lr"] == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[[try]]\nlr = 0.5\n[[try]]\n\nlr = 2\n",
            r"toy\.toml:10: .* lr must be between low=0.001 and high=1.0, got 2",
        ),
        (
            "[[try]]\nlrr = 0.5\n",
            r"toy\.toml:7: .* only what \[space\] searches can be set, got 'lrr'; did you mean 'lr'",
        ),
        ('[[try]]\narch = "vgg8"\n', r"toy\.toml:7: .* only what \[space\] searches can be set, got 'arch'"),
        ("[[try]]\nepochs = 4\n", r"toy\.toml:7: .* got 'epochs'"),
        ('[[try]]\nlr = "fast"\n', r"toy\.toml:7: .* lr takes a number, got 'fast'"),
        ('[[try]]\noptimizer = "adamw"\n', r"toy\.toml:7: .* optimizer must be one of its choices .* got 'adamw'"),
        ("[[try]]\nmomentum = 0.55\n", r"toy\.toml:7: .* a whole number of steps of 0.1, got 0.55"),
        ('[[try]]\noptimizer = "adam"\nmomentum = 0.6\n', r"toy\.toml:8: .* momentum has no effect with these other"),
        ("[[try]]\n", r"toy\.toml:6: a \[\[try\]\] needs at least one setting"),
        ("[try]\nlr = 0.5\n", r"toy\.toml.*: settings to try are written as \[\[try\]\] tables"),
    ],
)
def test_a_try_outside_the_space_is_refused_with_file_and_line(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        tried(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_file_of_tries_is_read_for_a_space(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "more.toml"
    path.write_text("[[try]]\nlr = 0.3\n", encoding=encoding)
    assert [one.given for one in read_tries(path, parse_spec(SPACE, name="toy").space)] == [{"lr": 0.3}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[try]]\n\nlr = 7\n", r"more\.toml:3: .* lr must be between"),
        ("seed = 1\n[[try]]\nlr = 0.3\n", r"more\.toml: .* holds \[\[try\]\] tables alone, got 'seed'"),
        ("", r"more\.toml: .* holds \[\[try\]\] tables alone, got none of them"),
        ("[[try\n", r"more\.toml: .* must be readable TOML"),
        (None, r"more\.toml: .* must be readable TOML: No such file"),
    ],
)
def test_a_file_of_tries_that_breaks_a_rule_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "more.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SpecError, match=message):
        read_tries(path, parse_spec(SPACE, name="toy").space)
