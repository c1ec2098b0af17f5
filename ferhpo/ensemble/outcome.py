"""What `ferhpo ensemble` found, in numbers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ferhpo.ensemble.front import Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What the sealed split said once it was opened.

    Args:
        n: its rows.
        ensemble: figures of the ensemble.
        best_single: figures of the best single trial.
        mcnemar_p: exact two-sided p that the two are right equally often.
        without_copies: n, ensemble and best_single over the rows whose image stands in no other split of the source;
            None if all rows are such. No net was trained on the others either: the split takes copies out of training.
        evaluation: `scoring.evaluated` of ensemble and best_single.
    """

    n: int
    ensemble: Mapping[str, Any]
    best_single: Mapping[str, Any]
    mcnemar_p: float
    without_copies: Mapping[str, Any] | None
    evaluation: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The temperature, and what it did to cross-fitted validation probabilities.

    Args:
        temperature: of the artifact; 1 leaves probabilities as they are.
        before: nll, ece and brier without it.
        after: the same with it, each row with a temperature that did not see it.
        skipped: why there is none, "" if there is.
    """

    temperature: float
    before: Mapping[str, float]
    after: Mapping[str, float]
    skipped: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleReport:
    """What came out.

    Args:
        method: the one the artifact uses.
        metric: the study's, by which it was chosen.
        numbers: its members' trials, best first; members of weight 0 are left out.
        weights: one per member (see `Combination.weights_m`).
        costs: of all its members together: members, parameters, latency_ms; None where one's is unknown.
        n_val: validation rows.
        val: cross-fitted figures of the artifact: no row was scored by a fit that saw it or an identical image.
        candidates: the same of every method, before a temperature, or after one if the metric asks for probabilities.
        best_number: the best single trial by the study's metric.
        best_val: its figures on all validation rows, which chose it.
        calibration: what the temperature did.
        front: accuracy against cost, cheapest first.
        evaluation: `scoring.evaluated` of ensemble and best_single on the validation rows.
        test: None unless the test split was opened by this call.
        test_openings: how often the study's test split was opened so far.
        notes: what a reader must know before the figures, a sentence each.
        folder: the artifact.
    """

    method: str
    metric: str
    numbers: tuple[int, ...]
    weights: tuple[float, ...]
    costs: Mapping[str, float | None]
    n_val: int
    val: Mapping[str, Any]
    candidates: Mapping[str, Mapping[str, Any]]
    best_number: int
    best_val: Mapping[str, Any]
    calibration: Calibration
    front: tuple[Point, ...]
    evaluation: Mapping[str, Any]
    test: Opened | None
    test_openings: int
    notes: tuple[str, ...]
    folder: Path

    def to_json(self) -> dict[str, Any]:
        """Return what ``--format json`` prints."""
        test = self.test
        return {
            "method": self.method,
            "metric": self.metric,
            "members": [{"number": n, "weight": w} for n, w in zip(self.numbers, self.weights, strict=True)],
            "costs": dict(self.costs),
            "n_val": self.n_val,
            "val": dict(self.val),
            "n_test": test.n if test else None,
            "test": dict(test.ensemble) if test else None,
            "test_openings": self.test_openings,
            "mcnemar_p": test.mcnemar_p if test else None,
            "without_copies": dict(test.without_copies) if test and test.without_copies else None,
            "candidates": {name: dict(found) for name, found in self.candidates.items()},
            "best_single": {
                "number": self.best_number,
                "val": dict(self.best_val),
                "test": dict(test.best_single) if test else None,
            },
            "calibration": asdict(self.calibration),
            "front": [asdict(point) | {"numbers": list(point.numbers)} for point in self.front],
            "evaluation": {"val": dict(self.evaluation), "test": dict(test.evaluation) if test else None},
            "notes": list(self.notes),
            "folder": str(self.folder),
        }
