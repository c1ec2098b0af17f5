"""What a finished study of a comparison is worth: validation figures, and test figures from one recorded opening.

    STUDY/compare/figures.json   the figures, and the checkpoints they are of
    STUDY/compare/said.npz       what the study's best trials say of the validation and the test rows

Both are made once; they are made anew, with another recorded opening, only where the best trials are others by then.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from ferhpo import __version__
from ferhpo._atomic import new_folder, sha256, write_json
from ferhpo._layout import CARD
from ferhpo.ensemble import infer, members
from ferhpo.ensemble.build import build, sealed_data
from ferhpo.errors import StudyError
from ferhpo.scoring import evaluated

if TYPE_CHECKING:
    from ferhpo.data.cache import Prepared
    from ferhpo.ensemble.outcome import EnsembleReport
    from ferhpo.study.study import Study
    from ferhpo.study.trial import Trial

FOLDER = "compare"  # in the study's
FIGURES = "figures.json"
SAID = "said.npz"
TOP = 5  # best trials that are combined

Found = dict[str, Any]


def judge(study: "Study", data: "Prepared", command: str, device: str) -> Found:
    """Return what `STUDY/compare/figures.json` holds, scored now where it is not there yet.

    The test split is opened for that, once for the best single trial and the ensemble together, and recorded first.

    Args:
        study: with at least one trial whose files are kept, unless it was judged before.
        data: its images.
        command: what the user typed, for the record.
        device: where the nets run.

    Returns:
        of: the trials by number and checksum; all: what is told of each; single and, of two trials or more, ensemble:
        trials, val and test (each `scoring.evaluated`), parameters, flops, epochs, images_per_second, configs, method;
        test_openings, split and classes.

    Raises:
        StudyError: no trial's files are kept, and there are no figures of before.
        Whatever `build` raises.
    """
    best = study.candidates()[:TOP]
    of = [[trial.number, _digest(trial)] for trial in best]
    known = read(study.folder)
    if known is not None and (known["of"] == of or not best):  # trials' files may be deleted once they were judged
        return known
    if not best:
        msg = f"figures are of trials whose files are kept, and study '{study.name}' has none; name another --out"
        raise StudyError(msg)
    sealed = sealed_data(study, data)
    found = members.read(study, best)
    if len(best) > 1:
        report = build(study, top=len(best), data=data, open_test=True, command=command, device=device)
        openings = report.test_openings
    else:
        report, openings = None, study.record_opening(command, __version__)
    part = sealed.open_test()
    test_mnc = infer.member_probabilities(found.folders, part, device)
    if device != "cpu":
        from ferhpo.training.guard import give_back

        give_back(device)  # the trials of the next search, in other processes, need the memory
    y_n, groups_n = found.y_n, found.groups_n
    figures: Found = {
        "of": of,
        "split": data.split_digest,
        "classes": list(data.classes),
        "test_openings": openings,
        "all": [_entry([trial], data) for trial in best],
        "single": _entry(best[:1], data)
        | {
            "val": evaluated(found.probs_mnc[0], y_n, groups_n),
            "test": evaluated(test_mnc[0], part.labels, part.groups),
            "method": None,
        },
    }
    if report is not None:
        figures["ensemble"] = _ensemble(report, best, data)
    with new_folder(study.folder / FOLDER) as folder:
        np.savez(
            folder / SAID,
            val_mnc=found.probs_mnc,
            y_n=y_n,
            groups_n=groups_n,
            test_mnc=test_mnc,
            test_y_n=part.labels,
            test_groups_n=part.groups,
        )
        write_json(folder / FIGURES, figures)
    return json.loads(json.dumps(figures))  # as a later call reads them


def read(folder: Path) -> Found | None:
    """Return what `judge` left in a study's folder, None if it is not there whole."""
    try:
        figures = json.loads((folder / FOLDER / FIGURES).read_text(encoding="utf-8"))
        _ = figures["of"], figures["single"], said(folder)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
        return None
    return figures


def said(folder: Path) -> dict[str, np.ndarray]:
    """Return the arrays that `judge` left: val_mnc, y_n, groups_n, test_mnc, test_y_n and test_groups_n."""
    with np.load(folder / FOLDER / SAID, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in ("val_mnc", "y_n", "groups_n", "test_mnc", "test_y_n", "test_groups_n")}


def _ensemble(report: "EnsembleReport", best: "list[Trial]", data: "Prepared") -> Found:
    used = [trial for trial in best if trial.number in report.numbers]
    test = report.test
    return _entry(used, data) | {
        "val": dict(report.evaluation["ensemble"]),
        "test": dict(test.evaluation["ensemble"]) if test else None,
        "method": report.method,
    }


def _entry(trials: "list[Trial]", data: "Prepared") -> Found:
    """Return what is told of some trials beside their figures; costs are summed."""
    from ferhpo.training import cost

    configs = [trial.config for trial in trials if trial.config is not None]
    classes, channels = len(data.classes), data.images.shape[-1]
    nets = ((cost.untrained(config, classes=classes, channels=channels), config.image_size) for config in configs)
    rates = [row["images_per_second"] for t in trials for row in t.attrs.get("history", []) if row["images_per_second"]]
    return {
        "trials": [trial.number for trial in trials],
        "parameters": sum(trial.attrs["parameters"] for trial in trials),
        "flops": sum(cost.flops(net, channels=channels, size=size) for net, size in nets),
        "configs": [config.params() for config in configs],
        "epochs": max(len(trial.values) for trial in trials),
        "images_per_second": float(np.median(rates)) if rates else None,
    }


def _digest(trial: "Trial") -> str:
    return "" if trial.checkpoint is None else sha256(trial.checkpoint / CARD)
