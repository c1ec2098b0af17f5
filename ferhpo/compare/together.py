"""One ensemble over the trials of all systems: the last row of the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ferhpo.compare import judge
from ferhpo.ensemble.cost import Limits
from ferhpo.ensemble.fit import fit
from ferhpo.ensemble.members import Members
from ferhpo.metrics import figures as figures_of
from ferhpo.metrics import metric
from ferhpo.scoring import evaluated

MOST = 16  # members to choose from, by validation value: more cost minutes and are the weaker ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """One trial of one study, and what it says."""

    study: str
    number: int
    entry: Mapping[str, Any]
    value: float
    val_nc: np.ndarray
    test_nc: np.ndarray


def together(folders: Sequence[Path], name: str) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the ensemble of the best trials of several studies, chosen by validation rows, and who had to stay out.

    Its test figures come from what each study's own recorded opening left.

    Args:
        folders: of studies that `judge` has scored.
        name: of the metric that members are ranked and chosen by.

    Returns:
        What `judge` returns of an ensemble, with studies beside trials, or None where fewer than two trials can stand
        together; and the studies whose rows are split in another way, whose nets trained on rows that validate here.
    """
    found = [(folder, figures) for folder in folders if (figures := judge.read(folder)) is not None]
    if not found:
        return None, []
    key = _commonest([(figures["split"], tuple(figures["classes"])) for _, figures in found])
    alike = [(folder, f) for folder, f in found if (f["split"], tuple(f["classes"])) == key]
    outside = [folder.name for folder, _ in found if folder not in [inside for inside, _ in alike]]
    voices, rows = [], {}
    for folder, figures in alike:
        rows = judge.said(folder)
        for m, (number, _) in enumerate(figures["of"]):
            scored = figures_of(rows["val_mnc"][m], rows["y_n"])[name]
            entry = figures["all"][m]
            parts = {"val_nc": rows["val_mnc"][m], "test_nc": rows["test_mnc"][m]}
            voices.append(Voice(study=folder.name, number=number, entry=entry, value=scored, **parts))
    if len(voices) < 2:
        return None, outside
    sign = -1 if metric(name).maximize else 1
    best = sorted(voices, key=lambda voice: sign * voice.value)[:MOST]
    return _joined(best, rows, name), outside


def _joined(best: list[Voice], rows: Mapping[str, np.ndarray], name: str) -> dict[str, Any]:
    members = Members(
        numbers=tuple(range(len(best))),
        folders=tuple(Path(voice.study) for voice in best),
        cards=tuple({"parameters": voice.entry["parameters"]} for voice in best),
        latencies=(None,) * len(best),
        probs_mnc=np.stack([voice.val_nc for voice in best]),
        y_n=rows["y_n"],
        groups_n=rows["groups_n"],
        classes=(),
    )
    fitted = fit(members, name, method="auto", limits=Limits(), calibrate=True)
    used = [best[m] for m in np.flatnonzero(fitted.combination.weights_m > 0)]
    test_nc = fitted.combination.predict(np.stack([voice.test_nc for voice in best]))
    return {
        "trials": [voice.number for voice in used],
        "studies": [voice.study for voice in used],
        "parameters": sum(voice.entry["parameters"] for voice in used),
        "flops": sum(voice.entry["flops"] for voice in used),
        "configs": [voice.entry["configs"][0] for voice in used],
        "epochs": None,
        "images_per_second": None,
        "method": fitted.combination.method,
        "val": evaluated(fitted.held_nc, rows["y_n"], rows["groups_n"]),
        "test": evaluated(test_nc, rows["test_y_n"], rows["test_groups_n"]),
    }


def _commonest(keys: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[str, tuple[str, ...]]:
    return max(keys, key=keys.count)
