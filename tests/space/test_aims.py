"""Objectives and constraints are read strictly, and what nothing can keep is refused."""

import pytest

from ferhpo.errors import UsageError
from ferhpo.space.aims import Constraint, broken, check_constraints, excesses
from ferhpo.space.spec import parse_spec


@pytest.mark.parametrize(
    "text",
    [
        *("", "params", "params <=", "<= 5", "params 5", "params = 5", "params == 5", "params < 5", "5 >= params"),
        *("params <= 2e6 and latency_ms <= 5", "params <= lots", "params <= nan", "params <= inf", "1 <= params <= 5"),
    ],
)
def test_a_constraint_is_a_quantity_a_sign_and_a_number(text: str) -> None:
    with pytest.raises(UsageError, match="a constraint is written like 'latency_ms <= 5'"):
        Constraint.parse(text)


@pytest.mark.parametrize("text", ["params <= 0", "latency_ms <= -1", "accuracy >= 1.01", "ece >= 2", "nll <= -0.1"])
def test_a_constraint_that_no_trial_can_keep_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no trial can satisfy the constraint"):
        Constraint.parse(text)


def test_constraints_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="constraints contradict each other: params >= 100 and params <= 50"):
        check_constraints(["params >= 100", "params <= 50"])
    assert len(check_constraints(["params >= 50", "params <= 100"])) == 2


@pytest.mark.parametrize("text", ["params <= 2000000", "accuracy >= 0.625", "latency_ms <= 5.5"])
def test_a_constraint_is_written_as_it_is_read(text: str) -> None:
    assert str(Constraint.parse(text)) == text


def test_what_is_not_known_yet_breaks_nothing_and_figures_are_judged_at_the_end() -> None:
    limits = check_constraints(["params <= 100", "accuracy >= 0.6", "latency_ms <= 5"])
    known = {"params": 120.0, "accuracy": 0.5}
    assert excesses(limits, known, whole=False) == [20, 0, 0]
    assert broken(limits, known, whole=False) == "params <= 100, got 120"
    assert broken(limits, known, whole=True) == "params <= 100, got 120; accuracy >= 0.6, got 0.5"
    assert broken(limits, {"params": 100.0, "accuracy": 0.6}, whole=True) is None


def test_trials_are_ranked_by_the_first_validation_figure() -> None:
    spec = parse_spec('metric = ["params", "nll", "accuracy"]', name="x")
    assert (spec.metric, spec.direction) == ("nll", "minimize")
    assert spec.directions == ["minimize", "minimize", "maximize"]
