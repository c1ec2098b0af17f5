"""The sections of the report: each puts tables and charts of one `Content` into words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import pandas as pd
import plotly.graph_objects as go

from ferhpo.report import frames, plots, validation_frames
from ferhpo.report.ensemble_frames import FIGURES, EnsembleTables
from ferhpo.report.ensemble_frames import ensemble as read_ensemble
from ferhpo.report.frames import PARAM, Facts, Importances
from ferhpo.report.markup import Html, duration, join, table, tag, text
from ferhpo.report.validation_frames import Judged
from ferhpo.study.study import Study, Trial

ROWS, LINES, POINTS = 500, 150, 1500  # trials in a table, a chart of curves, a chart of points: what a browser draws without a wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Everything the page shows, read once.

    Args:
        facts: what the study is about.
        found: the trials.
        table: the trials as `frames.trials` has them, best first.
        budget: what each state took.
        best: the best trial's row, None if no trial has ended with a value.
        judged: the best trial's validation probabilities and the labels, if they are kept.
        importances: of the parameters.
        ensemble: what the last `ferhpo ensemble` stored, None if there was none.
    """

    facts: Facts
    found: Sequence[Trial]
    table: pd.DataFrame
    budget: pd.DataFrame
    best: dict[str, Any] | None
    judged: Judged | None
    importances: Importances
    ensemble: EnsembleTables | None

    @classmethod
    def read(cls, study: Study) -> Self:
        """Read a study."""
        facts, found = frames.facts(study), study.trials()
        ranked = frames.ranked(frames.trials(found, facts.majority), maximize=facts.maximize)
        ended = ranked[ranked["state"].isin(["COMPLETE", "PRUNED"]) & ranked["value"].notna()]
        best = ended.head(1).to_dict("records")
        return cls(
            facts=facts,
            found=found,
            table=ranked,
            budget=frames.budget(ranked),
            best={str(k): v for k, v in best[0].items()} if best else None,
            judged=validation_frames.judged(study, next((t for t in found if best and t.number == best[0]["number"]), None)),
            importances=frames.importances(study),
            ensemble=read_ensemble(study.folder),
        )

    @property
    def ended(self) -> pd.DataFrame:
        """The trials that ended with a value, best first."""
        return self.table[self.table["state"].isin(["COMPLETE", "PRUNED"]) & self.table["value"].notna()]

    def chosen(self, split: str) -> dict[str, Any] | None:
        """Return the stored figures of the ensemble on a split, None if there are none."""
        scores = self.ensemble.scores if self.ensemble else pd.DataFrame({"kind": [], "split": []})
        rows = scores[(scores["kind"] == "chosen") & (scores["split"] == split)].to_dict("records")
        return {str(k): v for k, v in rows[0].items()} if rows else None


def notes(content: Content) -> list[str]:
    """Return what a reader must know before any number."""
    facts, found = content.facts, []
    if facts.running:
        found.append("A search of this study is running; the page shows the study as it was when it was written.")
    if not content.found:
        found.append("The study has no trials yet; `ferhpo search` runs them.")
    elif content.best is None and not facts.running:
        found.append("No trial has ended with a value yet.")
    barely = content.table[content.table["barely"]]["number"].tolist()
    if barely and facts.majority is not None:
        which = f"trial {barely[0]} is" if len(barely) == 1 else f"trials {', '.join(map(str, sorted(barely)))} are"
        rate = f"accuracy {facts.majority:.4f} on the validation rows"
        found.append(f"Little learned: {which} barely above always answering the commonest class ({rate}).")
    interrupted = int((content.table["state"] == "INTERRUPTED").sum())
    if interrupted:
        found.append(f"{interrupted} trial(s) were interrupted; the next `ferhpo search` goes on with them.")
    return found


def best(content: Content) -> Html | None:
    """The best trial: its figures and every setting."""
    row = content.best
    if row is None:
        return None
    trial = next(t for t in content.found if t.number == row["number"])
    figures = trial.attrs.get("figures") or {}
    facts = [("trial", f"{row['number']} ({row['state']})"), *((name.replace("_", " "), f"{v:.4f}") for name, v in figures.items())]
    facts += [("epochs", row["epochs"]), ("training", duration(row["seconds"])), ("parameters", _whole(row["parameters"]))]
    facts += [("images/s", _whole(row["images_per_second"])), *((k, trial.attrs[k]) for k in ("device", "precision", "host") if k in trial.attrs)]
    if not figures:
        facts.insert(1, (content.facts.metric, f"{row['value']:.4f}"))
    searched = [{"setting": name, "value": text(value)} for name, value in trial.params.items()]
    heads = {"setting": "searched setting", "value": "value"}
    others = {k: v for k, v in (trial.config.params() if trial.config else {}).items() if k not in trial.params}
    more = None
    if others:
        inner = table({"setting": "setting", "value": "value"}, ({"setting": k, "value": text(v)} for k, v in others.items()))
        more = tag("details", tag("summary", f"{len(others)} settings that were not searched"), inner)
    lead = "Its value, checkpoint and probabilities are of one and the same epoch; figures are on the validation rows."
    left, right = _facts(facts), join([table(heads, searched), more])
    return join([tag("p", lead, class_="soft"), tag("div", tag("div", left), tag("div", right), class_="pair")])


def progress(content: Content) -> Html | None:
    """The best value over time, and the learning curves."""
    if not content.found:
        return None
    metric, shown = content.facts.metric, _curves_of(content)
    points = frames.history(content.table, maximize=content.facts.maximize)
    number = content.best["number"] if content.best else None
    charts = []
    if len(points):
        charts.append(_chart(plots.history(points, metric), "Each ended trial, in the order in which they ended, and the best COMPLETE value so far."))
    if shown["value"].notna().any():
        few = f" The {LINES} best and all unfinished trials of {len(content.found)}." if len(content.found) > LINES else ""
        charts.append(_chart(plots.curves(shown, "value", metric, number), f"Validation {metric} after each epoch.{few}"))
    if shown["train_loss"].notna().any():
        charts.append(_chart(plots.curves(shown, "train_loss", "training loss", number), "Training loss of each epoch."))
    if "nll" in shown and shown["nll"].notna().any() and metric != "nll":
        charts.append(_chart(plots.curves(shown, "nll", "nll", number), "Validation negative log-likelihood after each epoch."))
    return tag("div", *charts, class_="pair") if charts else None


def settings(content: Content) -> Html | None:
    """Importances, the best of each architecture, and the value against each parameter."""
    ended, facts = content.ended, content.facts
    if ended.empty:
        return None
    found = content.importances
    parts: list[object] = [tag("h3", "Importance")]
    if found.reason:
        parts.append(tag("p", f"{found.reason[0].upper()}{found.reason[1:]}.", class_="soft"))
    else:
        told = "What set the best quarter of the COMPLETE trials apart from all of them (PED-ANOVA); a hint, not a law, below some 30 trials."
        parts.append(_chart(plots.importances(found.table), told))
    archs = frames.by_architecture(content.table, maximize=facts.maximize)
    if len(archs):
        heads = {"arch": "architecture", "trials": "trials", "best": f"best {facts.metric}", "state": "state", "number": "in trial"}
        heads |= {"parameters": "parameters", "images_per_second": "images/s", "seconds": "training"}
        rows = [_shown(row) for row in archs.to_dict("records")]
        parts += [tag("h3", "Best by architecture"), table(heads, rows, marked=[0])]
    columns = [c for c in ended.columns if c.startswith(PARAM) and ended[c].dropna().map(str).nunique() > 1]
    if columns:
        sample = ended.sort_values("number").iloc[:: max(1, -(-len(ended) // POINTS))]
        charts = [_slice(sample, column, content) for column in columns]
        parts += [tag("h3", f"{facts.metric} against each setting"), tag("p", "Filled: COMPLETE. Open: PRUNED, judged after fewer epochs.", class_="soft")]
        parts.append(tag("div", *charts, class_="small"))
    return join(parts)


def cost(content: Content) -> Html | None:
    """What the search spent, and what value that bought."""
    if not content.found:
        return None
    heads = {"state": "state", "trials": "trials", "epochs": "epochs", "seconds": "training", "share": "share of the time"}
    rows = [_shown(row) | {"share": (f"{row['seconds_share']:.0%}", row["seconds_share"])} for row in content.budget.to_dict("records")]
    charts = [_chart(plots.budget(content.budget), "Where trials, epochs and time went.")]
    ended = content.ended
    for column, title in (("seconds", "seconds of training"), ("parameters", "parameters")):
        if ended[column].nunique() > 1:
            figure = plots.against(ended.head(POINTS), column, title, content.facts.metric)
            charts.append(_chart(figure, f"Validation {content.facts.metric} against {title}."))
    return join([table(heads, rows), tag("div", *charts, class_="pair")])


def mistakes(content: Content) -> Html | None:
    """How far the best trial's probabilities can be trusted, and which classes it takes for which."""
    if content.judged is None:
        return None
    probs_nc, y_n = content.judged
    counts = validation_frames.confusion(probs_nc, y_n, content.facts.classes)
    sums = counts.sum(axis=1)
    shares = counts.div(sums.where(sums > 0, 1), axis=0)
    heads = {"class": "class", "rows": "validation rows", "precision": "precision", "recall": "recall", "f1": "F1"}
    rows = [_shown(row) for row in validation_frames.by_class(counts).to_dict("records")]
    sure = "How often it is right by how sure it is; on the dotted line a probability means what it says. Larger: more rows."
    charts = [
        _chart(plots.confusion(counts, shares), f"All {len(y_n)} validation rows: counts, coloured by share of the label."),
        _chart(plots.reliability(validation_frames.reliability(probs_nc, y_n)), sure),
    ]
    return join([tag("div", *charts, class_="pair"), table(heads, rows)])


def ensemble(content: Content) -> Html | None:
    """Every way to combine the members beside the best single trial; test figures only if the test split was opened."""
    found, facts = content.ensemble, content.facts
    if found is None:
        return tag("p", f"There is none yet; `ferhpo ensemble --study {facts.name}` makes one of the best trials.", class_="soft")
    if found.problem:
        return tag("p", f"{found.problem}; `ferhpo ensemble` writes it anew.", class_="note")
    rows = f" on {text(found.n_val)} rows" if found.n_val else ""
    parts: list[object] = [tag("p", f"Method {found.method or 'unknown'}, {len(found.members)} member(s).")]
    val, test = (found.scores[found.scores["split"] == split] for split in ("val", "test"))
    told = f"Validation accuracy{rows}, with 95 % intervals; no row is scored by a fit that saw it. Orange: the method in use."
    parts.append(_scores(val, "validation accuracy", told))
    times = len(facts.openings)
    if len(test):
        word = f"test opened {times} time{'' if times == 1 else 's'}" if times else "no opening is recorded in this study"
        parts += [tag("h3", f"Test split ({word})"), _scores(test, "test accuracy", "Accuracy on the test split as stored with the ensemble.")]
    heads = {"number": "member: trial", "weight": "weight"}
    parts += [tag("h3", "Members"), table(heads, [_shown(row) for row in found.members.to_dict("records")])]
    return join(parts)


def trials(content: Content) -> Html | None:
    """All trials, best first."""
    if not content.found:
        return None
    columns = [c for c in content.table.columns if c.startswith(PARAM)]
    heads = {"number": "trial", "state": "state", "value": content.facts.metric, "epochs": "epochs", "seconds": "training"}
    heads |= {"images_per_second": "images/s", "parameters": "parameters"} | {c: c.removeprefix(PARAM) for c in columns}
    some = content.table.head(ROWS)
    few = f" The first {ROWS} of {len(content.table)}." if len(content.table) > ROWS else ""
    lead = tag("p", f"Best first; click a head to sort.{few}", class_="soft")
    marked = [0] if content.best else []
    return join([lead, table(heads, (_shown(row) for row in some.to_dict("records")), marked=marked)])


def failures(content: Content) -> Html | None:
    """Failed trials with their reason."""
    rows = content.table[content.table["state"] == "FAIL"]
    if rows.empty:
        return None
    heads = {"number": "trial", "epochs": "epochs", "error": "reason", "then": "then"}
    heads |= {c: c.removeprefix(PARAM) for c in rows.columns if c.startswith(PARAM) and rows[c].notna().any()}
    shown = (
        _shown(row)
        | {"error": tag("div", row["error"] if isinstance(row["error"], str) else "no reason was stored", class_="wrap")}
        | {"then": "queued once more" if row["requeued"] else "counted"}
        for row in rows.head(ROWS).to_dict("records")
    )
    return table(heads, shown)


def data(content: Content) -> Html | None:
    """What the study was begun with, the openings of the test split, and the study file."""
    facts = content.facts
    shown = [(name, facts.data[name]) for name in ("path", "format", "fingerprint") if facts.data.get(name)]
    shown += [(f"{split} rows", text(n)) for split, n in facts.counts.items()]
    if facts.majority is not None:
        shown.append(("commonest class", f"{facts.majority:.4f} of the validation rows"))
    if facts.epochs:
        shown.append(("epochs of a trial", facts.epochs))
    if facts.version:
        shown.append(("searched with", f"ferhpo {facts.version}"))
    parts: list[object] = [_facts(shown)]
    if not facts.per_class.empty:
        heads = {"class": "class"} | {str(c): f"{c} rows" for c in facts.per_class.columns}
        rows = facts.per_class.reset_index(names="class").to_dict("records")
        parts += [tag("h3", "Rows per class"), table(heads, [_shown(row) for row in rows])]
    if facts.openings:
        heads = {"date": "date", "version": "ferhpo", "command": "command"}
        parts += [tag("h3", "Openings of the test split"), table(heads, facts.openings)]
    if facts.spec:
        parts.append(tag("details", tag("summary", "Study file"), tag("pre", facts.spec)))
    return join(parts)


def _shown(row: Mapping[Any, Any]) -> dict[str, object]:
    """Turn a table's row into cells: what is shown, and the number it sorts by."""
    cells: dict[str, object] = {}
    for key, raw in row.items():
        value = None if raw is pd.NA or raw is pd.NaT or raw != raw else raw
        if key == "state":
            mark = tag("span", " barely above always answering the commonest class", class_="soft") if row.get("barely") else None
            cells[key] = join([tag("span", value, class_=f"state {value}"), mark])
        elif key == "seconds" and value is not None:
            cells[key] = (duration(value), value)
        elif key == "value" and value is None and row.get("latest") == row.get("latest") and row.get("latest") is not None:
            cells[key] = (f"{row['latest']:.4f} so far", row["latest"])
        elif key in {"value", "best", "weight", "precision", "recall", "f1", *FIGURES} and value is not None:
            cells[key] = (f"{value:.4f}", value)
        elif key in {"parameters", "images_per_second"} and value is not None:
            cells[key] = (_whole(value), value)
        else:
            cells[str(key)] = value
    return cells


def _scores(scores: pd.DataFrame, title: str, caption: str) -> Html:
    heads = {"name": "classifier", **{f: f.replace("_", " ") for f in FIGURES}, "ci": "95 % of accuracy"}
    records = scores.to_dict("records")
    cells = [_shown(row) | {"ci": f"{row['low']:.4f} to {row['high']:.4f}" if row["low"] == row["low"] else None} for row in records]
    marked = [i for i, row in enumerate(records) if row["kind"] == "chosen"]
    drawn = scores[scores["accuracy"].notna()]
    return join([_chart(plots.scores(drawn, title), caption) if len(drawn) else None, table(heads, cells, marked=marked)])


def _slice(sample: pd.DataFrame, column: str, content: Content) -> Html:
    name = column.removeprefix(PARAM)
    return _chart(plots.slices(sample, name, column, content.facts.metric, content.facts.dimensions.get(name)))


def _curves_of(content: Content) -> pd.DataFrame:
    """Return the curves of the best trials and of those that have not ended."""
    numbers = set(content.ended["number"].head(LINES)) | set(content.table[~content.table["state"].isin(["COMPLETE", "PRUNED"])]["number"])
    return frames.curves([t for t in content.found if t.number in numbers])


def _chart(figure: go.Figure, caption: str = "") -> Html:
    content = Html(str(figure.to_json()).replace("<", "\\u003c"))  # so that no label can end the script element
    drawn = tag("div", tag("script", content, type="application/json"), class_="chart", style=f"height:{figure.layout.height}px")
    return tag("figure", drawn, tag("figcaption", caption) if caption else None)


def _facts(pairs: Sequence[tuple[str, object]]) -> Html:
    return tag("dl", *(join([tag("dt", name), tag("dd", text(value))]) for name, value in pairs))


def _whole(value: float) -> str:
    return text(round(value)) if value == value else text(None)
