"""The comparison's page: what `report` draws of its studies and figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ferhpo.compare.run import KINDS, System
from ferhpo.compare.table import HEADS, Row, cell
from ferhpo.report.comparison import Shown, write_comparison
from ferhpo.study.source import recorded_data
from ferhpo.study.study import Study

TITLES = {"reproduced": "As described", "searched": "Searched"}


def write_page(out: Path, lines: Sequence[Row], found: Sequence[System], lead: str) -> Path:
    """Write compare.html into the comparison's folder and return its path; arguments as `table.write`."""
    cells = [{column: _sortable(column, line[column]) for column in HEADS} for line in lines]
    combined = [i for i, line in enumerate(lines) if line["row"] == "ensemble"]
    return write_comparison(out / "compare.html", lead, HEADS, cells, [_shown(out, s) for s in found], marked=combined)


def _sortable(column: str, value: Any) -> object:
    shown = cell(column, value)
    return (shown, value) if isinstance(value, (int, float)) else shown or None


def _shown(out: Path, system: System) -> Shown:
    name = system.spec.name
    begun = [kind for kind in KINDS if recorded_data(out, f"{name}-{kind}") is not None]
    confusions, classes = [], []
    for kind, judged in system.found.items():
        classes = judged["classes"]
        entries = {TITLES[kind]: judged["single"], "Ensemble": judged.get("ensemble")}
        confusions += [(title, entry["test"]["confusion"]) for title, entry in entries.items() if entry]
    return Shown(
        name=name,
        description=system.spec.description,
        notes=[*system.notes, *(f"{kind}: {reason}" for kind, reason in system.errors.items())],
        studies=[(TITLES[kind], Study.open(out, f"{name}-{kind}")) for kind in begun],
        confusions=confusions,
        classes=classes,
    )
