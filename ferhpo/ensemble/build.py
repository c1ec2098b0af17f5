"""`ferhpo ensemble`, the whole of it: members, methods side by side, choice, artifact, and the test split if opened."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ferhpo import __version__
from ferhpo.ensemble import artifact, members
from ferhpo.ensemble.combine import Combination
from ferhpo.ensemble.evaluate import METHODS, choose, cross_fit, mcnemar
from ferhpo.ensemble.folds import deal
from ferhpo.errors import DataError, UsageError, did_you_mean
from ferhpo.metrics import scored

if TYPE_CHECKING:
    from ferhpo.data.cache import Part, Prepared
    from ferhpo.study.study import Study

FOLDER = "ensemble"  # in the study's


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What the sealed split said once it was opened.

    Args:
        n: its rows.
        ensemble: figures of the ensemble.
        best_single: figures of the best single trial.
        mcnemar_p: exact two-sided p that the two are right equally often.
    """

    n: int
    ensemble: Mapping[str, Any]
    best_single: Mapping[str, Any]
    mcnemar_p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleReport:
    """What came out, in numbers.

    Args:
        method: the one the artifact uses.
        numbers: its members' trials, best first; members of weight 0 are left out.
        weights: one per member (see `Combination.weights_m`).
        n_val: validation rows.
        val: cross-fitted figures of the method: no row was scored by a fit that saw it or an identical image.
        candidates: the same of every method.
        best_number: the best single trial by the study's metric.
        best_val: its figures on all validation rows, which chose it.
        test: None unless the test split was opened by this call.
        test_openings: how often the study's test split was opened so far.
        folder: the artifact.
    """

    method: str
    numbers: tuple[int, ...]
    weights: tuple[float, ...]
    n_val: int
    val: Mapping[str, Any]
    candidates: Mapping[str, Mapping[str, Any]]
    best_number: int
    best_val: Mapping[str, Any]
    test: Opened | None
    test_openings: int
    folder: Path

    def to_json(self) -> dict[str, Any]:
        """Return what ``--format json`` prints."""
        test = self.test
        return {
            "method": self.method,
            "members": [{"number": n, "weight": w} for n, w in zip(self.numbers, self.weights, strict=True)],
            "n_val": self.n_val,
            "val": dict(self.val),
            "n_test": test.n if test else None,
            "test": dict(test.ensemble) if test else None,
            "test_openings": self.test_openings,
            "mcnemar_p": test.mcnemar_p if test else None,
            "candidates": {name: dict(found) for name, found in self.candidates.items()},
            "best_single": {
                "number": self.best_number,
                "val": dict(self.best_val),
                "test": dict(test.best_single) if test else None,
            },
            "folder": str(self.folder),
        }


def build(
    study: "Study",
    *,
    top: int,
    method: str = "auto",
    data: "Prepared | None" = None,
    open_test: bool = False,
    command: str,
    device: str = "cpu",
) -> EnsembleReport:
    """Make an ensemble of a study's best trials and put it into the study's folder.

    Args:
        study: where the trials are.
        top: how many of the best candidates to combine.
        method: one of METHODS, or auto: the simplest within one paired standard error of the best.
        data: the study's images, needed only to open the test split.
        open_test: open the sealed test split; recorded in the study before a figure is computed.
        command: what the user typed, for the record.
        device: where the nets run if the test split is opened.

    Raises:
        UsageError: ``top`` or ``method`` is no possible one.
        StudyError: the study has too few candidates, or trials on other data.
        CheckpointError: a member's files are damaged.
        DataError: the images are not the study's, or have no test rows.
    """
    if method != "auto" and method not in METHODS:
        msg = f"--method must be a known one, got '{method}'{did_you_mean(method, ('auto', *METHODS))}"
        raise UsageError(msg)
    sealed = _sealed(study, data) if open_test else None
    found = members.load(study, top)
    fold_n = deal(found.y_n, found.groups_n)
    held = {name: cross_fit(fit, found.probs_mnc, found.y_n, found.groups_n, fold_n) for name, fit in METHODS.items()}
    chosen = choose(held, found.y_n, found.groups_n, study.spec.metric) if method == "auto" else method
    fitted = METHODS[chosen](found.probs_mnc, found.y_n, found.groups_n)
    kept = np.flatnonzero(fitted.weights_m > 0)
    combination, used = fitted.keep(kept), found.only(kept)
    members.check_weights(found.only([0]))
    members.check_weights(used)
    test, openings = None, len(study.openings)
    if sealed is not None:
        openings = study.record_opening(command, __version__)
        test = _score_test(sealed.open_test(), found, used, combination, device)
    candidates = {name: scored(probs_nc, found.y_n) for name, probs_nc in held.items()}
    report = EnsembleReport(
        method=chosen,
        numbers=used.numbers,
        weights=tuple(combination.weights_m.tolist()),
        n_val=len(found.y_n),
        val=candidates[chosen],
        candidates=candidates,
        best_number=found.numbers[0],
        best_val=scored(found.probs_mnc[0], found.y_n),
        test=test,
        test_openings=openings,
        folder=study.folder / FOLDER,
    )
    _store(study, used, combination, report, command)
    return report


def _sealed(study: "Study", data: "Prepared | None") -> "Prepared":
    """Return the data whose test split can be opened; checked before anything is recorded."""
    if data is None:
        msg = "--test needs the study's images; name them with --data"
        raise UsageError(msg)
    if data.fingerprint != study.data["fingerprint"]:
        msg = f"--test needs the data of study '{study.name}', got images of another fingerprint; correct --data"
        raise DataError(msg)
    if not sum(data.counts["test"].values()):
        msg = f"--test needs test rows, the data of study '{study.name}' has none; leave --test out"
        raise DataError(msg)
    return data


def _score_test(
    part: "Part", found: members.Members, used: members.Members, combination: Combination, device: str
) -> Opened:
    """Score ensemble and best single trial, which is the first found and need not be used, on the opened rows."""
    from ferhpo.ensemble.infer import member_probabilities

    folders = list(dict.fromkeys([found.folders[0], *used.folders]))
    probs = dict(zip(folders, member_probabilities(folders, part, device), strict=True))
    single_nc = probs[found.folders[0]]
    ensemble_nc = combination.predict(np.stack([probs[folder] for folder in used.folders]))
    return Opened(
        n=len(part.labels),
        ensemble=scored(ensemble_nc, part.labels),
        best_single=scored(single_nc, part.labels),
        mcnemar_p=mcnemar(ensemble_nc, single_nc, part.labels),
    )


def _store(
    study: "Study", used: members.Members, combination: Combination, report: EnsembleReport, command: str
) -> None:
    stored = report.to_json()
    del stored["folder"]  # the artifact may be moved
    provenance = {
        "ferhpo": __version__,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "study": study.name,
        "metric": study.spec.metric,
        "fingerprint": study.data["fingerprint"],
        "command": command,
    }
    artifact.write(report.folder, used, combination, report=stored, provenance=provenance)
