from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ferhpo.ensemble.cost import Budget, Limits
from ferhpo.ensemble.folds import deal
from ferhpo.ensemble.front import Point, axis, front, priced
from ferhpo.metrics import accuracy
from tests.ensemble.test_fit import members


@pytest.fixture
def points(made: Any) -> tuple[Point, ...]:
    probs, y = made(6, 300)
    chosen = ("uniform", np.full(6, 1 / 6), probs.mean(0))
    return front(members(probs, y), deal(y, np.arange(300)), metric="accuracy", budget=None, chosen=chosen)


def test_every_single_trial_greedy_ones_and_the_chosen_one_are_told(points: tuple[Point, ...]) -> None:
    kinds = [point.kind for point in points]
    assert kinds.count("single") == 6
    assert kinds.count("chosen") == 1
    assert kinds.count("greedy") >= 1
    assert len({point.numbers for point in points}) == len(points)


def test_the_front_is_what_nothing_as_cheap_beats(points: tuple[Point, ...]) -> None:
    cost = [point.costs["parameters"] for point in points]
    assert cost == sorted(cost)
    for point in points:
        beaten = any(
            other.costs["parameters"] <= point.costs["parameters"] and other.value >= point.value
            for other in points
            if other is not point
        )
        assert point.best != beaten


def test_a_point_has_the_price_of_its_members(points: tuple[Point, ...], made: Any) -> None:
    probs, y = made(6, 300)
    single = next(point for point in points if point.name == "trial 2")
    assert single.costs == {"members": 1, "parameters": 3000.0, "latency_ms": None}
    assert single.accuracy == single.value == accuracy(probs[2], y)
    chosen = next(point for point in points if point.kind == "chosen")
    assert chosen.costs == {"members": 6, "parameters": 21000.0, "latency_ms": None}


def test_of_a_loss_the_lowest_is_best(made: Any) -> None:
    probs, y = made(4, 300)
    found = members(probs, y)
    points = front(
        found, deal(y, np.arange(300)), metric="nll", budget=None, chosen=("uniform", np.full(4, 0.25), probs.mean(0))
    )
    values = [point.value for point in points if point.best]
    assert values == sorted(values, reverse=True)
    assert values[-1] == min(point.value for point in points)


def test_the_cost_that_counts_is_latency_then_parameters_then_members(made: Any) -> None:
    assert axis({"parameters": 1.0, "latency_ms": 2.0}) == "latency_ms"
    assert axis({"parameters": 1.0, "latency_ms": None}) == "parameters"
    assert axis({}) == "members"
    probs, y = made(3, 100)
    found = replace(members(probs, y), latencies=(3.0, 2.0, 1.0))
    assert priced(found, [0, 2]) == {"members": 2, "parameters": 4000.0, "latency_ms": 4.0}
    chosen = ("uniform", np.full(3, 1 / 3), probs.mean(0))
    points = front(found, deal(y, np.arange(100)), metric="accuracy", budget=None, chosen=chosen)
    assert [point.name for point in points if point.kind == "single"] == ["trial 2", "trial 1", "trial 0"]


def test_the_users_budget_holds_for_every_ensemble(made: Any) -> None:
    probs, y = made(6, 200)
    found = members(probs, y)
    budget = Budget.of(found.costs(), Limits(members=2), 6)
    chosen = ("greedy", np.array([0.5, 0.5, 0, 0, 0, 0]), probs[:2].mean(0))
    points = front(found, deal(y, np.arange(200)), metric="accuracy", budget=budget, chosen=chosen)
    assert all(point.costs["members"] <= 2 for point in points)
