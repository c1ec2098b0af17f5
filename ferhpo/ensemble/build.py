"""`ferhpo ensemble`, the whole of it: members, methods side by side, choice, artifact, and the test split if opened."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ferhpo import __version__
from ferhpo._layout import ENSEMBLE
from ferhpo.data.splits import DROPPED, hashes
from ferhpo.ensemble import artifact, card, infer, members
from ferhpo.ensemble import soup as soups
from ferhpo.ensemble.combine import Combination
from ferhpo.ensemble.cost import Limits
from ferhpo.ensemble.evaluate import METHODS, mcnemar
from ferhpo.ensemble.fit import fit
from ferhpo.ensemble.front import priced
from ferhpo.ensemble.outcome import EnsembleReport, Opened
from ferhpo.errors import DataError, UsageError, did_you_mean
from ferhpo.metrics import metric
from ferhpo.scoring import evaluated, scored

if TYPE_CHECKING:
    from ferhpo.data.cache import Prepared
    from ferhpo.study.study import Study

SOUP = "soup"  # in the study's folder
NO_LIMITS = Limits()


def build(
    study: "Study",
    *,
    top: int,
    method: str = "auto",
    limits: Limits = NO_LIMITS,
    calibrate: bool = True,
    tta: str = artifact.OWN_VIEWS,
    soup: bool = False,
    data: "Prepared | None" = None,
    open_test: bool = False,
    command: str,
    device: str = "cpu",
) -> EnsembleReport:
    """Make an ensemble of a study's best trials and put it into the study's folder.

    Args:
        study: where the trials are.
        top: how many of the best candidates to combine, at least 2.
        method: one of METHODS, or auto: the simplest within one paired standard error of the best.
        limits: what the members may cost together.
        calibrate: fit a temperature after pooling, where there are rows enough.
        tta: views that a member's probabilities are averaged over (`infer.TTA`), in the artifact and on the test split.
        soup: let the mean weights of members that share architecture and start be one more member.
        data: the study's images, needed only for other views than their own, a soup, and to open the test split.
        open_test: open the sealed test split; recorded in the study before a figure is computed.
        command: what the user typed, for the record.
        device: where the nets run, if they do.

    Raises:
        UsageError: an argument is no possible one, no member fits the limits, or none can go into a soup together.
        StudyError: the study has too few candidates, or trials on other data or on validation rows.
        CheckpointError: a member's files are damaged.
        DataError: the images are not the study's, or have no test rows.
    """
    if method != "auto" and method not in METHODS:
        msg = f"--method must be a known one, got '{method}'{did_you_mean(method, ('auto', *METHODS))}"
        raise UsageError(msg)
    infer.check_tta(tta)
    sealed = sealed_data(study, data) if open_test else None
    found = members.load(study, top)
    members.check_weights(found.only([0]))
    told: tuple[str, ...] = ()
    if tta != artifact.OWN_VIEWS:
        found = infer.viewed(found, _same_images(study, data, "--tta"), tta, device).ranked(study.spec.metric)
    if soup:
        images = _same_images(study, data, "--soup")
        found, said = soups.add(found, images, study.spec.metric, study.folder / SOUP, tta=tta, device=device)
        told = (said,)
    if limits.latency_ms is not None:
        found = members.measured(found, partial(infer.latency_ms, tta=tta), keep=tta == artifact.OWN_VIEWS)
    fitted = fit(found, study.spec.metric, method=method, limits=limits, calibrate=calibrate)
    kept = np.flatnonzero(fitted.combination.weights_m > 0)
    combination, used = fitted.combination.keep(kept), found.only(kept)
    members.check_weights(used)
    test, openings = None, len(study.openings)
    if sealed is not None:
        openings = study.record_opening(command, __version__)
        test = _score_test(sealed, found, used, combination, device, tta)
    report = EnsembleReport(
        method=combination.method,
        metric=study.spec.metric,
        numbers=used.numbers,
        weights=tuple(combination.weights_m.tolist()),
        costs=priced(found, kept),
        n_val=len(found.y_n),
        val=scored(fitted.held_nc, found.y_n, found.groups_n),
        candidates={name: scored(p_nc, found.y_n, found.groups_n) for name, p_nc in fitted.candidates.items()},
        best_number=found.numbers[0],
        best_val=scored(found.probs_mnc[0], found.y_n, found.groups_n),
        calibration=fitted.calibration,
        front=fitted.front,
        evaluation={
            "ensemble": evaluated(fitted.held_nc, found.y_n, found.groups_n),
            "best_single": evaluated(found.probs_mnc[0], found.y_n, found.groups_n),
        },
        test=test,
        test_openings=openings,
        notes=(),
        folder=study.folder / ENSEMBLE,
    )
    report = replace(report, notes=(*told, *notes(report)))
    _store(study, used, combination, report, command, tta)
    return report


def recounted(study: "Study", report: EnsembleReport) -> EnsembleReport:
    """Return a report, stored as well, with the openings of the test split as they are now: other data may open it."""
    openings = len(study.openings)
    if openings != report.test_openings:
        artifact.amend(report.folder, {"test_openings": openings})
    return replace(report, test_openings=openings)


def notes(report: EnsembleReport) -> tuple[str, ...]:
    """Return what must be said before the figures, a sentence each."""
    name, told = report.metric, []
    ours, single = report.val[name], report.best_val[name]
    if metric(name).better(single, ours):
        told.append(
            f"the ensemble's validation {name} {ours:.4f} is behind the {single:.4f} of trial {report.best_number}, "
            "which these rows chose: this ensemble may be worth nothing"
        )
    shown = {"validation": report.evaluation["ensemble"]} | (
        {"test": report.test.evaluation["ensemble"]} if report.test else {}
    )
    told += [
        f"the {split} accuracy {found['accuracy']:.4f} ({found['ci95'][0]:.3f} to {found['ci95'][1]:.3f}) is not "
        f"clearly above what always naming the commonest class gives, {found['majority']:.4f}"
        for split, found in shown.items()
        if not found["beats_majority"]
    ]
    if report.test and report.test_openings > 1:
        told.append(
            f"the test split was opened {report.test_openings} times: what was changed between two openings was chosen "
            "on it"
        )
    return tuple(told)


def sealed_data(study: "Study", data: "Prepared | None") -> "Prepared":
    """Return the data whose test split can be opened; checked before anything is recorded.

    Raises:
        UsageError: there is none.
        DataError: it is not the study's, or has no test rows.
    """
    found = _same_images(study, data, "--test")
    if not sum(found.counts["test"].values()):
        msg = f"--test needs test rows, the data of study '{study.name}' has none; leave --test out"
        raise DataError(msg)
    return found


def _same_images(study: "Study", data: "Prepared | None", option: str) -> "Prepared":
    if data is None:
        msg = f"{option} needs the study's images; name them with --data"
        raise UsageError(msg)
    if data.fingerprint != study.data["fingerprint"]:
        msg = f"{option} needs the data of study '{study.name}', got images of another fingerprint; correct --data"
        raise DataError(msg)
    return data


def _score_test(
    sealed: "Prepared", found: members.Members, used: members.Members, combination: Combination, device: str, tta: str
) -> Opened:
    """Score ensemble and best single trial, which is the first found and need not be used, on the opened rows."""
    part = sealed.open_test()
    folders = list(dict.fromkeys([found.folders[0], *used.folders]))
    probs = dict(zip(folders, infer.member_probabilities(folders, part, device, tta), strict=True))
    both = {
        "ensemble": combination.predict(np.stack([probs[folder] for folder in used.folders])),
        "best_single": probs[found.folders[0]],
    }
    y_n, groups_n = part.labels, part.groups
    alone_n = ~np.isin(hashes(part.images[part.rows]), hashes(sealed.images[sealed.split == DROPPED]))
    without = None
    if alone_n.any() and not alone_n.all():
        without = {"n": int(alone_n.sum())} | {
            k: scored(probs_nc[alone_n], y_n[alone_n], groups_n[alone_n]) for k, probs_nc in both.items()
        }
    return Opened(
        n=len(y_n),
        ensemble=scored(both["ensemble"], y_n, groups_n),
        best_single=scored(both["best_single"], y_n, groups_n),
        mcnemar_p=mcnemar(both["ensemble"], both["best_single"], y_n, groups_n),
        without_copies=without,
        evaluation={name: evaluated(probs_nc, y_n, groups_n) for name, probs_nc in both.items()},
    )


def _store(
    study: "Study",
    used: members.Members,
    combination: Combination,
    report: EnsembleReport,
    command: str,
    tta: str,
) -> None:
    stored = report.to_json()
    del stored["folder"]  # the artifact may be moved
    provenance: Mapping[str, Any] = {
        "ferhpo": __version__,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "study": study.name,
        "metric": study.spec.metric,
        "fingerprint": study.data["fingerprint"],
        "command": command,
        **card.background(study),
    }
    artifact.write(report.folder, used, combination, report=stored, provenance=provenance, tta=tta)
