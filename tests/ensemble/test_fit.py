from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferhpo import metrics
from ferhpo.ensemble.calibrate import MIN_ROWS
from ferhpo.ensemble.combine import tempered
from ferhpo.ensemble.cost import Limits
from ferhpo.ensemble.evaluate import METHODS
from ferhpo.ensemble.fit import fit
from ferhpo.ensemble.members import Members


def members(probs: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> Members:
    count = len(probs)
    return Members(
        numbers=tuple(range(count)),
        folders=(Path(),) * count,
        cards=tuple({"parameters": 1000 * (m + 1)} for m in range(count)),
        latencies=(None,) * count,
        probs_mnc=probs,
        y_n=y,
        groups_n=np.arange(len(y)) if groups is None else groups,
        classes=tuple("abcdefg"[: probs.shape[2]]),
    )


def run(found: Members, **changes: Any) -> Any:
    asked: dict[str, Any] = {"metric": "accuracy", "method": "auto", "limits": Limits(), "calibrate": True}
    return fit(found, **(asked | changes))


@pytest.mark.parametrize(
    ("metric", "limits"), [("accuracy", Limits()), ("accuracy", Limits(members=2)), ("nll", Limits())]
)
def test_random_labels_score_at_chance_through_the_whole_path(made: Any, metric: str, limits: Limits) -> None:
    rows = 700
    probs, _ = made(4 if metric == "accuracy" else 2, rows)
    y = np.random.default_rng(5).integers(7, size=rows)
    twice = members(np.tile(probs, (1, 2, 1)), np.tile(y, 2), np.tile(np.arange(rows), 2))  # every image has a copy
    for method in ("auto", "logistic"):
        found = run(twice, metric=metric, method=method, limits=limits)
        for held in (found.held_nc, *found.candidates.values()):
            assert abs(metrics.accuracy(held, twice.y_n) - 1 / 7) < 4 * np.sqrt(1 / 7 * 6 / 7 / rows)
        assert metrics.nll(found.held_nc, twice.y_n) > np.log(7) - 0.01
        for point in found.front:
            assert abs(point.accuracy - 1 / 7) < 5 * np.sqrt(1 / 7 * 6 / 7 / rows)


@pytest.mark.parametrize(("rows", "groups", "metric"), [(20, 2, "accuracy"), (600, 2, "nll"), (600, 3, "nll")])
def test_validation_rows_of_two_or_three_persons_are_enough(made: Any, rows: int, groups: int, metric: str) -> None:
    probs, y = made(3, rows)
    found = run(members(probs, y, np.arange(rows) % groups), metric=metric)
    assert found.candidates.keys() == METHODS.keys()
    assert all(np.isfinite(held).all() for held in found.candidates.values())


def test_what_is_chosen_is_fitted_to_all_rows(made: Any) -> None:
    probs, y = made(4, 300)
    found = run(members(probs, y), method="greedy")
    assert found.combination.to_json() == METHODS["greedy"](probs, y, np.arange(300)).to_json()
    assert (found.held_nc == found.candidates["greedy"]).all()
    assert found.candidates.keys() == METHODS.keys()


def test_few_rows_get_no_temperature(made: Any) -> None:
    probs, y = made(3, MIN_ROWS - 1)
    found = run(members(probs, y))
    assert found.combination.temperature == 1
    assert found.calibration.skipped == "499 validation rows are too few, it takes 500"
    assert found.calibration.before == found.calibration.after


def test_an_underconfident_mean_gets_a_temperature_that_changes_no_decision(made: Any) -> None:
    probs, y = made(3, 800)
    flat = np.stack([tempered(p, 4.0) for p in probs])
    found = run(members(flat, y), method="uniform")
    assert found.combination.temperature < 0.5
    assert found.calibration.after["nll"] < found.calibration.before["nll"]
    assert found.calibration.after["ece"] < found.calibration.before["ece"]
    assert (found.held_nc.argmax(1) == found.candidates["uniform"].argmax(1)).all()
    plain = run(members(flat, y), method="uniform", calibrate=False)
    assert (plain.combination.temperature, plain.calibration.skipped) == (1, "not asked for")


def test_where_probabilities_are_scored_methods_are_compared_with_their_temperatures(made: Any) -> None:
    probs, y = made(2, 500)
    flat = np.stack([tempered(p, 4.0) for p in probs])
    found = run(members(flat, y), metric="ece", method="uniform")
    assert metrics.nll(found.candidates["uniform"], y) == pytest.approx(found.calibration.after["nll"])
    assert found.calibration.after["nll"] < found.calibration.before["nll"]


def test_on_the_front_of_a_loss_every_ensemble_has_its_temperature(made: Any) -> None:
    probs, y = made(6, 800)
    found = members(np.stack([tempered(p, 4.0) for p in probs]), y)
    warm, cold = (run(found, metric="nll", method="uniform", calibrate=calibrate).front for calibrate in (True, False))
    values = [[point.value for point in points if point.kind == "greedy"] for points in (warm, cold)]
    assert values[0]
    assert max(values[0]) < min(values[1])


def test_limits_hold_for_the_members_that_are_used(made: Any) -> None:
    probs, y = made(6, 200)
    found = run(members(probs, y), method="greedy", limits=Limits(parameters=7000, members=2))
    used = np.flatnonzero(found.combination.weights_m)
    assert len(used) <= 2
    assert (used + 1).sum() <= 7
    for point in found.front:
        assert point.kind == "single" or (point.costs["parameters"] <= 7000 and point.costs["members"] <= 2)
