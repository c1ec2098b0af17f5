"""The sections of the report: each puts tables and charts of one `Content` into words."""

import pandas as pd

from ferhpo.report import classifier_plots, frames, plots, validation_frames
from ferhpo.report.content import Content
from ferhpo.report.ensemble_frames import FIGURES
from ferhpo.report.ensemble_parts import details, notes_of
from ferhpo.report.frames import AIM, PARAM
from ferhpo.report.learned import by_architecture
from ferhpo.report.markup import Html, count, duration, join, prose, table, tag, text
from ferhpo.report.parts import BARELY, cells, chart, facts_list, whole
from ferhpo.report.pick import col, records, rows

ROWS = 500  # trials in a table,
LINES = 150  # in a chart of curves,
POINTS = 1500  # in a chart of points: what a browser draws without a wait


def notes(content: Content) -> list[str]:
    """Return what a reader must know before any number."""
    facts, found = content.facts, []
    if facts.running:
        found.append("A search of this study is running; the page shows the study as it was when it was written.")
    if not content.found:
        found.append("The study has no trials yet; `ferhpo search` runs them.")
    elif content.best is None and not facts.running:
        kept = " that keeps the constraints" if facts.constraints else ""
        found.append(f"No trial{kept} has ended with a value yet.")
    beyond = int((~col(content.table, "feasible")).sum())
    if beyond:
        found.append(
            f"{count(beyond, 'trial')} broke a constraint ({', '.join(facts.constraints)}) and cannot be best."
        )
    barely = sorted(col(rows(content.table, col(content.table, "barely")), "number").tolist())
    if barely and facts.majority is not None:
        which = f" ({', '.join(map(str, barely))})" if len(barely) <= 8 else ""
        rate = f"which is right on {facts.majority:.4f} of the validation rows"
        found.append(f"{count(len(barely), 'trial')}{which} ended {BARELY}, {rate}.")
    interrupted = sum(t.state == "INTERRUPTED" for t in content.found)
    if interrupted:
        stopped = f"{count(interrupted, 'trial')} stopped in the middle, because the search was killed"
        found.append(f"{stopped}; the next `ferhpo search` settles that.")
    return found


def best(content: Content) -> Html | None:
    """The best trial: its figures and every setting."""
    row = content.best
    if row is None:
        return None
    trial = next(t for t in content.found if t.number == row["number"])
    figures = trial.attrs.get("figures") or {content.facts.metric: row["value"]}
    told = [
        ("trial", f"{row['number']} ({', '.join(filter(None, (row['state'], trial.origin)))})"),
        *((name.replace("_", " "), f"{value:.4f}") for name, value in figures.items()),
        *((name, f"{value:.6g}") for name, value in trial.attrs.get("costs", {}).items()),
        ("epochs", row["epochs"]),
        ("training", duration(row["seconds"])),
        ("parameters", whole(row["parameters"])),
        ("images/s", whole(row["images_per_second"])),
        *((key, trial.attrs[key]) for key in ("device", "precision", "host") if key in trial.attrs),
    ]
    searched = table(
        {"name": "searched setting", "setting": "value"},
        [{"name": name, "setting": text(value)} for name, value in trial.params.items()],
    )
    others = {k: v for k, v in (trial.config.params() if trial.config else {}).items() if k not in trial.params}
    inner = table({"name": "setting", "setting": "value"}, [{"name": k, "setting": text(v)} for k, v in others.items()])
    more = tag("details", tag("summary", f"{len(others)} settings that were not searched"), inner) if others else None
    lead = "Value, checkpoint and probabilities are of one and the same epoch; figures are on the validation rows."
    pair = tag("div", tag("div", facts_list(told)), tag("div", searched, more), class_="pair")
    return join([tag("p", lead, class_="soft"), pair])


def progress(content: Content) -> Html | None:
    """The best value over time, and the learning curves."""
    metric, shown = content.facts.metric, _curves_of(content)
    points = frames.history(content.table, maximize=content.facts.maximize)
    number = content.best["number"] if content.best else None
    charts = []
    if len(points):
        told = (
            "Each ended trial, in the order in which they ended, and the best value so far, of COMPLETE trials if any."
        )
        charts.append(chart(plots.history(points, metric), told))
    if len(content.standing):
        told = (
            "Greedy ensemble of the trials so far, cross-fitted, and the best single trial, picked on these very rows."
        )
        charts.append(chart(plots.standing(content.standing, metric), told))
    some = f" The {LINES} best and all unfinished trials of {len(content.found)}." if len(content.found) > LINES else ""
    titles = {"value": metric, "train_loss": "training loss"} | ({} if metric == "nll" else {"nll": "nll"})
    captions = {
        "value": f"Validation {metric} after each epoch.{some}",
        "train_loss": "Training loss of each epoch.",
        "nll": "Validation negative log-likelihood after each epoch.",
    }
    for column, title in titles.items():
        if column in shown.columns and col(shown, column).notna().any():
            figure = plots.curves(shown, column, title, number, legend=column == "value")
            charts.append(chart(figure, captions[column]))
    return tag("div", *charts, class_="pair") if charts else None


def settings(content: Content) -> Html | None:
    """Importances, pairs, the best of each architecture and choice, and the value against each parameter."""
    ended, metric, found = content.ended, content.facts.metric, content.learned.importances
    if not len(ended):
        return None
    parts: list[object] = [tag("h3", "Importance")]
    if found.reason:
        parts.append(tag("p", f"{found.reason[0].upper()}{found.reason[1:]}.", class_="soft"))
    else:
        told = "What set the best quarter of the COMPLETE trials apart from all of them (PED-ANOVA)."
        parts.append(chart(plots.importances(found.table), f"{told} A hint, not a law, below some 30 trials."))
    parts += _pairs(content)
    archs = by_architecture(content.table, maximize=content.facts.maximize)
    if len(archs):
        heads = {"arch": "architecture", "trials": "trials", "best": f"best {metric}", "state": "state"}
        heads |= {"number": "in trial", "parameters": "parameters", "images_per_second": "images/s"}
        heads |= {"seconds": "training"}
        parts += [tag("h3", "Best by architecture"), table(heads, map(cells, records(archs)), marked=[0])]
    others = rows(content.learned.choices, col(content.learned.choices, "parameter") != "arch")
    if len(others):
        heads = {"parameter": "setting", "choice": "choice", "trials": "trials", "best": f"best {metric}"}
        heads |= {"state": "state", "number": "in trial"}
        parts += [tag("h3", "Best by choice"), table(heads, map(cells, records(others)))]
    varied = [c for c in ended.columns if c.startswith(PARAM) and col(ended, c).dropna().map(str).nunique() > 1]
    if varied:
        sample = ended.sort_values("number").iloc[:: -(-len(ended) // POINTS)]
        told = "Filled: COMPLETE. Open: PRUNED, judged after fewer epochs."
        parts += [tag("h3", f"{metric} against each setting"), tag("p", told, class_="soft")]
        parts.append(tag("div", *(_slice(sample, column, content) for column in varied), class_="small"))
    return join(parts)


def cost(content: Content) -> Html | None:
    """What the search spent, and what value that bought."""
    if not content.found:
        return None
    heads = {"state": "state", "trials": "trials", "epochs": "epochs", "seconds": "training", "share": "of all time"}
    lines = [
        cells(row) | {"share": (f"{row['seconds_share']:.0%}", row["seconds_share"])}
        for row in records(content.learned.budget)
    ]
    where = chart(plots.budget(content.learned.budget), "Where trials, epochs and time went.")
    parts = [tag("div", tag("div", table(heads, lines)), where, class_="pair")]
    charts = []
    for column, title in (("seconds", "seconds of training"), ("parameters", "parameters")):
        if col(content.ended, column).nunique() > 1:
            figure = plots.against(content.ended.head(POINTS), column, title, content.facts.metric)
            charts.append(chart(figure, f"Validation {content.facts.metric} against {title}."))
    return join([*parts, tag("div", *charts, class_="pair") if charts else None])


def mistakes(content: Content) -> Html | None:
    """How far the best trial's probabilities can be trusted, and which classes it takes for which."""
    if content.judged is None:
        return None
    probs_nc, y_n = content.judged
    counts = validation_frames.confusion(probs_nc, y_n, content.facts.classes)
    told = f"All {len(y_n)} validation rows: counts, coloured by share of the label."
    sure = "How often it is right by how sure it is; on the dotted line a probability means what it says."
    charts = [
        chart(classifier_plots.confusion(counts, validation_frames.shares(counts)), told),
        chart(classifier_plots.reliability(validation_frames.reliability(probs_nc, y_n)), f"{sure} Larger: more rows."),
    ]
    heads = {"class": "class", "rows": "validation rows", "precision": "precision", "recall": "recall", "f1": "F1"}
    lines = map(cells, records(validation_frames.by_class(counts)))
    return join([tag("div", *charts, class_="pair"), table(heads, lines)])


def ensemble(content: Content) -> Html:
    """Every way to combine the members beside the best single trial; test figures only if the test split was opened."""
    found, facts = content.ensemble, content.facts
    if found is None:
        told = f"There is none yet; `ferhpo ensemble --study {facts.name}` makes one of the best trials."
        return tag("p", prose(told), class_="soft")
    if found.problem:
        return tag("p", prose(f"{found.problem}; `ferhpo ensemble` writes it anew."), class_="note")
    val, test = (rows(found.scores, col(found.scores, "split") == split) for split in ("val", "test"))
    on = f" on {text(found.n_val)} rows" if found.n_val else ""
    told = (
        f"Validation accuracy{on}, with 95 % intervals. No row is scored by a fit that saw it, but these rows ranked "
        "the trials, which flatters all figures, and that of the best single trial most."
    )
    parts: list[object] = [
        tag("p", f"Method {found.method or 'unknown'}, {count(len(found.members), 'member')}."),
        _scores(val, "validation accuracy", f"{told} Orange: the method in use."),
    ]
    if len(test):
        opened = len(facts.openings)
        word = f"test opened {count(opened, 'time')}" if opened else "no opening is recorded in this study"
        parts.append(tag("h3", f"Test split ({word})"))
        told = "Accuracy on the test split as stored with the ensemble, with 95 % intervals."
        paired = (
            f" Exact McNemar test against the best single trial: p = {text(found.p)}." if found.p is not None else ""
        )
        parts.append(_scores(test, "test accuracy", f"{told}{paired}"))
    heads = {"number": "member: trial", "weight": "weight"}
    members = [tag("h3", "Members"), table(heads, map(cells, records(found.members)))]
    return join([*notes_of(found), *parts, *members, *details(found)])


def trials(content: Content) -> Html | None:
    """All trials, best first."""
    if not content.found:
        return None
    heads = {"number": "trial", "state": "state", "value": content.facts.metric, "epochs": "epochs"}
    heads |= {AIM + name: name for name in content.facts.others if AIM + name in content.table.columns}
    if col(content.table, "robust_accuracy").notna().any():
        heads |= {"robust_accuracy": "robust accuracy"}
    heads |= {"seconds": "training", "images_per_second": "images/s", "parameters": "parameters"}
    heads |= {"origin": "took over"} if col(content.table, "origin").notna().any() else {}
    heads |= {"broken": "breaks"} if not col(content.table, "feasible").all() else {}
    heads |= {c: c.removeprefix(PARAM) for c in content.table.columns if c.startswith(PARAM)}
    some = f" The first {ROWS} of {len(content.table)}." if len(content.table) > ROWS else ""
    lead = tag("p", f"Best first; click a head to sort.{some}", class_="soft")
    shown = records(content.table.head(ROWS))
    marked = [i for i, row in enumerate(shown) if content.best and row["number"] == content.best["number"]]
    return join([lead, table(heads, map(cells, shown), marked=marked)])


def failures(content: Content) -> Html | None:
    """Failed trials with their reason."""
    failed = rows(content.table, col(content.table, "state") == "FAIL")
    if not len(failed):
        return None
    heads = {"number": "trial", "epochs": "epochs", "reason": "reason", "then": "then"}
    heads |= {c: c.removeprefix(PARAM) for c in failed.columns if c.startswith(PARAM) and col(failed, c).notna().any()}
    lines = []
    for row in records(failed.head(ROWS)):
        reason = row["error"] if isinstance(row["error"], str) else "no reason was stored"
        then = "not counted" if row["requeued"] else "counted"  # queued again, or outdated
        lines.append(cells(row) | {"reason": tag("div", reason, class_="wrap"), "then": then})
    return table(heads, lines)


def data(content: Content) -> Html:
    """What the study was begun with, the openings of the test split, and the study file."""
    facts = content.facts
    told = [(name, facts.data[name]) for name in ("path", "format", "fingerprint") if facts.data.get(name)]
    told += [(f"{split} rows", text(n)) for split, n in facts.counts.items()]
    if facts.majority is not None:
        told.append(("commonest class", f"{facts.majority:.4f} of the validation rows"))
    if facts.epochs:
        told.append(("epochs of a trial", facts.epochs))
    told.append(("searched with", f"ferhpo {facts.version}"))
    parts: list[object] = [facts_list(told)]
    if len(facts.per_class):
        heads = {"class": "class"} | {str(c): f"{c} rows" for c in facts.per_class.columns}
        lines = map(cells, records(facts.per_class.reset_index(names="class")))
        parts += [tag("h3", "Rows per class"), table(heads, lines)]
    if facts.openings:
        heads = {"date": "date", "version": "ferhpo", "command": "command"}
        parts += [tag("h3", "Openings of the test split"), table(heads, facts.openings)]
    if facts.spec:
        parts.append(tag("details", tag("summary", "Study file"), tag("pre", facts.spec)))
    return join(parts)


def _scores(scores: pd.DataFrame, title: str, caption: str) -> Html:
    heads = {"name": "classifier", **{f: f.replace("_", " ") for f in FIGURES}, "ci": "95 % of accuracy"}
    found = records(scores)
    lines = [cells(row) | {"ci": f"{row['low']:.4f} to {row['high']:.4f}" if row["known"] else None} for row in found]
    marked = [i for i, row in enumerate(found) if row["kind"] == "chosen"]
    drawn = rows(scores, col(scores, "accuracy").notna())
    figure = chart(classifier_plots.scores(drawn, title), caption) if len(drawn) else None
    return join([figure, table(heads, lines, marked=marked)])


def _pairs(content: Content) -> list[object]:
    """Return what is said of settings that interact."""
    found, title = content.learned.pairs, tag("h3", "Pairs that interact")
    if found.reason:
        return [title, tag("p", f"{found.reason[0].upper()}{found.reason[1:]}.", class_="soft")]
    told = "Share of the predicted final value's variance that only both settings together explain (functional ANOVA)."
    lines = [{**row, "share": (f"{row['share']:.0%}", row["share"])} for row in records(found.table)]
    heads = {"first": "setting", "second": "with", "share": "share"}
    shown = table(heads, lines) if lines else tag("p", "None to speak of.", class_="soft")
    return [title, tag("p", told, class_="soft"), shown]


def _slice(sample: pd.DataFrame, column: str, content: Content) -> Html:
    name, metric = column.removeprefix(PARAM), content.facts.metric
    figure = plots.slices(sample, name, column, metric, content.facts.dimensions.get(name))
    return chart(figure)


def _curves_of(content: Content) -> pd.DataFrame:
    """Return the curves of the best trials and of those that have not ended."""
    unfinished = {t.number for t in content.found if t.state not in {"COMPLETE", "PRUNED"}}
    numbers = unfinished | set(col(content.ended, "number").head(LINES))
    return frames.curves([t for t in content.found if t.number in numbers])
