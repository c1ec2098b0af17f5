import json
from dataclasses import replace
from typing import Any

import pytest

from ferhpo.ensemble.build import build
from ferhpo.ensemble.outcome import EnsembleReport, Opened


@pytest.fixture
def report(fake: Any, made: Any) -> EnsembleReport:
    return build(fake(*made(3, 60)), top=3, method="greedy", command="")


def test_json_is_plain_values_and_whole(report: EnsembleReport) -> None:
    found = report.to_json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["costs"] == {
        "members": len(report.numbers),
        "parameters": 1000.0 * len(report.numbers),
        "latency_ms": None,
    }
    assert found["calibration"]["skipped"]
    assert {point["kind"] for point in found["front"]} >= {"single", "chosen"}
    assert found["evaluation"]["val"].keys() == {"ensemble", "best_single"}
    assert found["evaluation"]["test"] is found["without_copies"] is None


def test_what_the_test_split_said_stands_beside_the_validation_figures(report: EnsembleReport) -> None:
    scored, more = dict(report.val), dict(report.evaluation)
    test = Opened(n=9, ensemble=scored, best_single=scored, mcnemar_p=0.5, without_copies={"n": 8}, evaluation=more)
    found = replace(report, test=test, test_openings=2).to_json()
    assert (found["n_test"], found["test_openings"], found["mcnemar_p"]) == (9, 2, 0.5)
    assert found["test"] == found["best_single"]["test"] == scored
    assert found["without_copies"] == {"n": 8}
    assert found["evaluation"]["test"] == more
