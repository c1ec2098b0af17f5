"""The tree of errors: exit codes, places, and the nearest name."""

import pytest

from ferhpo import errors
from ferhpo.errors import FerhpoError, SpecError, UsageError, did_you_mean, first_line

TREE = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, FerhpoError)]


@pytest.mark.parametrize("kind", TREE)
def test_misuse_exits_with_2_and_every_other_error_with_1(kind: type[FerhpoError]) -> None:
    assert kind.exit_code == (2 if issubclass(kind, UsageError) else 1)


def test_a_spec_error_has_file_and_line_in_front() -> None:
    assert str(SpecError("a rule", "x.toml", 3)) == "x.toml:3: a rule"


def test_a_spec_error_without_a_line_has_the_file_in_front() -> None:
    assert str(SpecError("a rule", "x.toml")) == "x.toml: a rule"


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("\n a rule\nand more"), "a rule"), (ValueError(), "ValueError"), (OSError("\n"), "OSError")],
)
def test_the_first_line_of_an_error_is_what_it_says_first_or_its_type(error: Exception, line: str) -> None:
    assert first_line(error) == line


def test_the_nearest_name_is_offered() -> None:
    assert did_you_mean("resnet8s", ["resnet9s", "vgg8"]) == "; did you mean 'resnet9s'?"


def test_without_a_near_name_all_are_listed_in_order() -> None:
    assert did_you_mean("zzz", ["b", "a"]) == "; known: a, b"
    assert did_you_mean("zzz", []) == "; known: none"
