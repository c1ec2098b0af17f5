"""The tree of errors: exit codes, places, and the nearest name."""

import pytest

from ferhpo import errors
from ferhpo.errors import (
    FerhpoError,
    SpecError,
    TrainingError,
    UsageError,
    did_you_mean,
    first_line,
    last_line,
    one_line,
)

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


@pytest.mark.parametrize(
    ("error", "line"),
    [(RuntimeError("of Net:\n\ta.weight\n"), "a.weight"), (KeyError("x"), "'x'"), (OSError(), "OSError")],
)
def test_the_last_line_of_an_error_is_what_it_says_last_or_its_type(error: Exception, line: str) -> None:
    assert last_line(error) == line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (TrainingError("a loss must be finite"), "a loss must be finite"),
        (TrainingError(), "TrainingError"),
        (KeyError("x"), "KeyError: 'x'"),
        (ValueError("a rule\nand more"), "ValueError: a rule"),
        (OSError(), "OSError"),
    ],
)
def test_an_error_becomes_one_line_that_names_a_foreign_ones_type(error: Exception, line: str) -> None:
    assert one_line(error) == line


def test_the_nearest_name_is_offered() -> None:
    assert did_you_mean("resnet8s", ["resnet9s", "vgg8"]) == "; did you mean 'resnet9s'?"


def test_without_a_near_name_all_are_listed_in_order() -> None:
    assert did_you_mean("zzz", ["b", "a"]) == "; known: a, b"
    assert did_you_mean("zzz", []) == "; known: none"
