"""The lower half of the ensemble's section: what less would cost, calibration, classes, and every other figure."""

from math import isnan

from ferhpo.report import classifier_plots, validation_frames
from ferhpo.report.ensemble_frames import MORE, EnsembleTables
from ferhpo.report.markup import Html, table, tag
from ferhpo.report.parts import cells, chart
from ferhpo.report.pick import col, records, rows

COSTS = {"latency_ms": "ms an image on a CPU", "parameters": "parameters", "members": "members"}
SPLITS = {"val": "validation", "test": "test"}


def notes_of(found: EnsembleTables) -> list[Html]:
    """Return what must be read before the figures."""
    return [tag("p", f"{note[0].upper()}{note[1:]}.", class_="note") for note in found.notes]


def details(found: EnsembleTables) -> list[Html]:
    """Return what is stored beside the accuracies, nothing where an older ensemble stored none of it."""
    return [*_front(found), *_calibration(found), *_classes(found), *_more(found)]


def _front(found: EnsembleTables) -> list[Html]:
    if not len(found.front):
        return []
    axis = next(column for column in COSTS if bool(col(found.front, column).notna().all()))
    told = "Single trials (these rows ranked them), greedy ensembles under growing budgets, and the one in use."
    best = rows(found.front, col(found.front, "best") | (col(found.front, "kind") == "chosen"))
    heads = {"name": "predictor", "trials": "trials", "value": found.metric.replace("_", " ")}
    heads |= {column: title for column, title in COSTS.items() if col(best, column).notna().any()}
    return [
        tag("h3", "What less gives"),
        chart(classifier_plots.front(found.front, axis, COSTS[axis], f"validation {found.metric}"), told),
        tag("p", "The Pareto front of value and cost, and the ensemble in use, which may lie off it.", class_="soft"),
        table(
            heads, map(cells, records(best)), marked=[i for i, r in enumerate(records(best)) if r["kind"] == "chosen"]
        ),
    ]


def _calibration(found: EnsembleTables) -> list[Html]:
    known = found.calibration
    if not known:
        return []
    if known["skipped"]:
        return [tag("p", f"No temperature: {known['skipped']}.", class_="soft")]
    lines = [
        {
            "figure": key.upper() if key != "brier" else "Brier",
            "before": known["before"][key],
            "after": known["after"][key],
        }
        for key in known["before"]
    ]
    by = f"the temperature {known['temperature']:.3f} (cross-fitted validation rows)"
    told = f"Logarithms of pooled probabilities are divided by {by}."
    heads = {"figure": "calibration", "before": "without", "after": "with temperature"}
    return [tag("p", told), table(heads, lines)]


def _classes(found: EnsembleTables) -> list[Html]:
    if not len(found.confusion):
        return []
    split = "test" if "test" in set(found.per_class["split"]) else "val"
    some = rows(found.per_class, col(found.per_class, "split") == split)
    heads = {
        "class": "class",
        "rows": f"{SPLITS[split]} rows",
        "precision": "precision",
        "recall": "recall",
        "f1": "F1",
    }
    told = f"The ensemble on {SPLITS[split]} rows: counts, coloured by share of the label."
    drawn = chart(classifier_plots.confusion(found.confusion, validation_frames.shares(found.confusion)), told)
    return [tag("h3", "Classes"), tag("div", drawn, tag("div", table(heads, map(cells, records(some)))), class_="pair")]


def _more(found: EnsembleTables) -> list[Html]:
    if not len(found.more):
        return []
    heads = {"name": "classifier", "split": "rows"}
    heads |= dict(zip(MORE, ("Brier", "MSE of one-hot", "R2 of one-hot", "commonest class"), strict=True))
    heads |= {
        f"{over}_{key}": f"{over} {key}" for over in ("macro", "weighted") for key in ("precision", "recall", "f1")
    }
    heads |= {"interval": "macro F1, 95 % by bootstrap"}
    lines = [
        cells(row)
        | {
            "split": SPLITS[row["split"]],
            "interval": None if isnan(row["low"]) else f"{row['low']:.4f} to {row['high']:.4f}",
        }
        for row in records(found.more)
    ]
    return [tag("h3", "More figures"), table(heads, lines)]
