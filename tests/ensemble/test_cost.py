import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferhpo.ensemble.cost import Budget, Limits
from ferhpo.errors import UsageError

COSTS = {"latency_ms": np.array([4.0, 2.0, 8.0]), "parameters": np.array([10.0, 60.0, 5.0])}


def budget(**limits: float) -> Budget:
    found = Budget.of(COSTS, Limits(**limits), 3)
    assert found is not None
    return found


def test_no_limit_is_no_budget() -> None:
    assert Budget.of(COSTS, Limits(), 3) is None


def test_a_member_may_join_while_every_limit_holds() -> None:
    found = budget(latency_ms=6, members=2)
    assert found.allowed(np.array([False, False, False])).tolist() == [True, True, False]
    assert found.allowed(np.array([True, False, False])).tolist() == [True, True, False]
    assert found.allowed(np.array([True, True, False])).tolist() == [True, True, False]


def test_members_are_taken_in_order_while_they_fit() -> None:
    assert budget(latency_ms=10).fill([2, 0, 1]).tolist() == [1, 2]
    assert budget(latency_ms=10).fill([0, 1, 2]).tolist() == [0, 1]


def test_a_sum_that_meets_the_limit_but_for_rounding_fits() -> None:
    third = Budget.of({"latency_ms": np.full(3, 0.1)}, Limits(latency_ms=0.3), 3)
    assert third is not None
    assert len(third.fill(range(3))) == 3


@given(st.lists(st.floats(0.1, 5), min_size=1, max_size=8), st.floats(5, 12), st.randoms())
def test_what_is_filled_never_costs_more_than_the_limit(costs: list[float], limit: float, random: object) -> None:
    found = Budget.of({"parameters": np.array(costs)}, Limits(parameters=limit), len(costs))
    assert found is not None
    order = list(range(len(costs)))
    random.shuffle(order)  # pyright: ignore[reportAttributeAccessIssue]
    kept = found.fill(order)
    assert sum(costs[m] for m in kept) <= limit * (1 + 1e-8)
    left = limit - sum(costs[m] for m in kept)
    assert all(costs[m] > left * (1 - 1e-6) for m in range(len(costs)) if m not in kept)


def test_a_part_of_the_members_keeps_the_limits() -> None:
    assert budget(latency_ms=5).only(np.array([2, 1])).allowed(np.zeros(2, bool)).tolist() == [False, True]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (
            {"latency_ms": 1.5},
            r"--max-latency-ms must leave a member to take, 1\.5 leaves none \(2 is the least of 3\)",
        ),
        ({"parameters": 4}, r"--max-params must leave a member to take, 4 leaves none \(5 is the least of 3\)"),
        ({"members": 0}, "--max-members must be above 0, got 0"),
        ({"parameters": float("nan")}, "--max-params must be above 0, got nan"),
        ({"latency_ms": 2, "parameters": 10}, "--max-latency-ms 2 and --max-params 10 together leave none"),
    ],
)
def test_a_budget_that_no_member_fits_is_refused(limits: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        budget(**limits)


def test_a_limit_on_what_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError, match="--max-params takes the parameters of every member"):
        Budget.of({}, Limits(parameters=5), 2)
