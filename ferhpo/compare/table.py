"""The comparison as one table: a line for what was reported, reproduced, searched and combined of each system."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ferhpo._atomic import write_json, write_text
from ferhpo.compare.run import System
from ferhpo.models.names import LIBRARIES

FIGURES = ("val_accuracy", "val_loss", "val_macro_f1", "test_accuracy", "test_loss", "test_macro_f1")
COLUMNS = (
    *("system", "row", *FIGURES, "parameters", "flops", "epoch_seconds"),
    *("weights", "data", "trials", "epochs", "method", "note"),
)
HEADS = {
    "system": "System",
    "row": "Row",
    "val_accuracy": "Val accuracy",
    "val_loss": "Val loss",
    "val_macro_f1": "Val macro F1",
    "test_accuracy": "Test accuracy",
    "test_loss": "Test loss",
    "test_macro_f1": "Test macro F1",
    "parameters": "Parameters",
    "flops": "MFLOPs an image",
    "epoch_seconds": "Seconds an epoch",
    "weights": "Weights",
    "data": "Data",
    "note": "Note",
}
ALL = "all systems"
SHOWN = {"accuracy": "accuracy", "loss": "nll", "macro_f1": "macro_f1"}  # by column, but for its split

Row = dict[str, Any]


def rows(found: Sequence[System], joined: Mapping[str, Any] | None = None, outside: Sequence[str] = ()) -> list[Row]:
    """Return the table's lines, each with every column of COLUMNS.

    Args:
        found: the systems, in the order of the table.
        joined: what `together` returned.
        outside: studies that could not join it.
    """
    lines = [line for system in found for line in _system(system)]
    if joined is not None:
        left = f"; without {', '.join(outside)}, whose rows are split in another way" if outside else ""
        studies = {f"{name} {number}" for name, number in zip(joined["studies"], joined["trials"], strict=True)}
        note = f"{len(joined['trials'])} trials of {len(set(joined['studies']))} studies{left}"
        line = _line(ALL, "ensemble", joined, note=note, rows=0, data=found[0].data or "")
        lines.append({**line, "trials": ", ".join(sorted(studies))})
    return lines


def _system(system: System) -> list[Row]:
    name, said = system.spec.name, system.spec.reported
    reported = dict.fromkeys(COLUMNS) | {"system": name, "row": "reported", "data": said.data or None}
    reported |= {key: list(values) for key, values in said.figures().items()}
    lines: list[Row] = [reported]
    note = "; ".join(system.notes)
    for kind in ("reproduced", "searched"):
        if kind not in system.found:
            reason = system.errors.get(kind, "not run yet")
            lines.append(dict.fromkeys(COLUMNS) | {"system": name, "row": kind, "data": system.data, "note": reason})
            continue
        judged = system.found[kind]
        shared = {"note": note, "rows": system.rows, "data": system.data or ""}
        lines.append(_line(name, kind, judged["single"], **shared))
        if kind == "searched":
            if "ensemble" in judged:
                lines.append(_line(name, "ensemble", judged["ensemble"], **shared))
            else:
                told = "one trial alone can be combined with nothing"
                lines.append(dict.fromkeys(COLUMNS) | {"system": name, "row": "ensemble", "note": told})
    return lines


def _line(system: str, kind: str, entry: Mapping[str, Any], *, note: str, rows: int, data: str) -> Row:
    found: Row = {"system": system, "row": kind, "data": data, "note": note or None, "weights": _weights(entry)}
    for split in ("val", "test"):
        if (figures := entry[split]) is not None:
            found |= {f"{split}_{column}": figures[name] for column, name in SHOWN.items()}
    rate = entry["images_per_second"]
    found |= {
        "parameters": entry["parameters"],
        "flops": entry["flops"],
        "epoch_seconds": rows / rate if rate and rows and kind != "ensemble" else None,
        "trials": ", ".join(map(str, entry["trials"])),
        "epochs": entry["epochs"],
        "method": entry["method"],
    }
    return dict.fromkeys(COLUMNS) | found


def _weights(entry: Mapping[str, Any]) -> str:
    """Return where the nets began: from pretrained weights, or from random ones."""
    loaded = [c["pretrained"] and c["arch"].partition(":")[0] in LIBRARIES for c in entry["configs"]]
    return "pretrained" if all(loaded) else "some pretrained" if any(loaded) else "random"


def cell(column: str, value: Any) -> str:
    """Return a value as it stands in a table for people; several that were reported stand side by side."""
    if value is None:
        return ""
    if isinstance(value, list):
        return " or ".join(cell(column, one) for one in value)
    if column == "flops":
        return f"{value / 1e6:,.1f}"
    if column == "epoch_seconds":
        return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def markdown(lines: Sequence[Row]) -> str:
    """Return the table in Markdown."""
    body = [[cell(column, line[column]).replace("|", "\\|").replace("\n", " ") for column in HEADS] for line in lines]
    made = [list(HEADS.values()), ["---"] * len(HEADS), *body]
    return "".join(f"| {' | '.join(row)} |\n" for row in made)


def text_csv(lines: Sequence[Row]) -> str:
    """Return the table as csv; several reported figures are joined by a semicolon."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for line in lines:
        plain = {k: ";".join(map(str, v)) if isinstance(v, list) else v for k, v in line.items()}
        writer.writerow(plain)
    return out.getvalue()


def write(out: Path, lines: Sequence[Row], facts: Mapping[str, Any], lead: str) -> None:
    """Write compare.md, compare.csv and compare.json into a folder, each whole or not at all.

    Args:
        out: the folder.
        lines: what `rows` returned.
        facts: what else the JSON holds: scale, date, versions.
        lead: what stands above the table in Markdown.
    """
    write_text(out / "compare.md", f"{lead}\n\n{markdown(lines)}")
    write_text(out / "compare.csv", text_csv(lines))
    write_json(out / "compare.json", {**facts, "rows": list(lines)})
