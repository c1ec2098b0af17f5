"""`ferhpo study`: what is in the database, without torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ferhpo._layout import study_folder
from ferhpo.cli.options import (
    Format,
    FormatOption,
    NameArgument,
    RootOption,
    StorageOption,
    StudyOption,
    chosen,
    named,
    remember,
)
from ferhpo.cli.output import print_facts, print_json, print_table, say, settings
from ferhpo.errors import FerhpoError, StudyError
from ferhpo.study.find import ROOT, name_of

if TYPE_CHECKING:
    from ferhpo.study.study import Study
    from ferhpo.study.trial import Trial

app = typer.Typer(help="List studies, show one, show its best trial.", no_args_is_help=True, rich_markup_mode=None)


def open_study(study: str | None, root: Path, storage: str | None = None) -> "Study":
    """Open the study that `--study` stands for, for reading."""
    from ferhpo.study.study import Study

    opened = Study.open(root, name_of(chosen(study, root)), storage)
    if study is not None:
        remember(study, root)
    return opened


@app.command("list")
def list_(*, root: RootOption = ROOT, output: FormatOption = Format.table) -> None:
    """List the studies under the root with their states and best values."""
    from ferhpo.study.overview import STATES, overview, study_names

    rows, names = [], study_names(root)
    for name in names:
        try:
            rows.append(overview(study_folder(root, name)).to_json())
        except FerhpoError as error:  # one that cannot be read hides no other
            say(f"{name}: {error}")
    if output is Format.json:
        print_json(rows)
    elif rows:
        print_table(("study", "trials", *STATES, "best"), [_row(row) for row in rows])
    elif not names:
        say(f"there is no study in {root} yet; `ferhpo search` begins one")


@app.command(short_help="Show trials, states, the best trial, test openings.")
def show(
    name: NameArgument = None,
    *,
    study: StudyOption = None,
    storage: StorageOption = None,
    root: RootOption = ROOT,
    output: FormatOption = Format.table,
) -> None:
    """Show a study: its trials, states, best trial, what it learned, and every opening of the test split."""
    opened = open_study(named(name, study), root, storage)
    if output is Format.json:
        print_json(summary(opened) | {"built": built_json(opened), "learned": learned_json(opened)})
        return
    show_study(opened, output, every=True)
    print_facts([*_built(built_json(opened)), *_told(learned_json(opened), opened.metric)])


@app.command(short_help="Show the best trial and its configuration.")
def best(
    name: NameArgument = None,
    *,
    study: StudyOption = None,
    storage: StorageOption = None,
    root: RootOption = ROOT,
    output: FormatOption = Format.table,
) -> None:
    """Show the best trial and its whole configuration."""
    opened = open_study(named(name, study), root, storage)
    trial = opened.best()
    if trial is None:
        msg = (
            f"a best trial needs one that ended with a value, and study '{opened.name}' has none yet; run "
            "`ferhpo search`"
        )
        raise StudyError(msg)
    if output is Format.json:
        print_json(best_json(trial) | {"state": trial.state, "config": trial.config.params() if trial.config else None})
        return
    facts: list[tuple[str, object]] = [("trial", trial.number), (opened.metric, trial.value), ("state", trial.state)]
    facts += [("settings", f"{trial.origin}: those of its last epochs")] if trial.origin else []
    facts += [(name, value) for name, value in trial.objectives.items() if name != opened.metric]
    facts += [("checkpoint", trial.checkpoint)]
    print_facts(facts + list(trial.config.params().items() if trial.config else trial.params.items()))


_LAST = 15  # trials that `search` shows at its end


def summary(study: "Study") -> dict[str, Any]:
    """Return what `study show --format json` prints."""
    found = study.trials()
    best_trial, several = study.best(found), len(study.objectives) > 1
    return {
        "name": study.name,
        "directions": study.directions,
        "metric": study.metric,
        "objectives": list(study.objectives),
        "constraints": list(study.attrs.get("constraints", ())),
        "storage": study.shown_url,
        "states": study.states(),
        "n_trials": sum(study.states().values()),
        "interrupted": sum(t.state == "INTERRUPTED" for t in found),
        "infeasible": sum(not t.eligible for t in found),
        "best": best_json(best_trial) if best_trial else None,
        "front": [best_json(t) for t in study.front(found)] if several else [],
        "confirmed": [c.to_json() for c in study.confirmed()],
        "ensemble": standing_json(study),
        "prior": {name: len(trials) for name, trials in study.prior.items()},
        "data": study.data["path"],
        "test_openings": study.openings,
        "elsewhere": study.elsewhere,
    }


def best_json(trial: "Trial") -> dict[str, Any]:
    """Return a trial as JSON names it."""
    several = {"objectives": dict(trial.objectives)} if len(trial.objectives) > 1 else {}
    return {"number": trial.number, "value": trial.value, **several, "params": dict(trial.params)}


def standing_json(study: "Study") -> dict[str, Any] | None:
    """Return the running ensemble as the last search left it, None if there is none."""
    points, members = study.standing["points"], study.standing["members"]
    return {"value": points[-1][1], "single": points[-1][2], "members": members} if points else None


def built_json(study: "Study") -> dict[str, Any] | None:
    """Return what `ferhpo ensemble` last made of the study, None if nothing; a damaged file has a ``problem`` alone."""
    from ferhpo.report.ensemble_frames import ensemble
    from ferhpo.report.pick import records

    found = ensemble(study.folder)
    if found is None:
        return None
    if found.problem:
        return {"problem": found.problem}
    value = next((row["value"] for row in records(found.front) if row["kind"] == "chosen"), None)
    return {"method": found.method, "metric": found.metric, "value": value, "members": found.members["number"].tolist()}


def _built(found: dict[str, Any] | None) -> list[tuple[str, object]]:
    if found is None:
        return []
    if "problem" in found:
        return [("ensemble", found["problem"])]
    value = "" if found["value"] is None else f": {found['metric']} {found['value']:.4f} cross-fitted"
    return [("ensemble", f"{found['method']} of trials {', '.join(map(str, found['members']))}{value}")]


def learned_json(study: "Study") -> dict[str, Any]:
    """Return what the study learned, as JSON names it; what cannot be said has a ``reason`` in its place."""
    from ferhpo.report import frames
    from ferhpo.report.facts import facts
    from ferhpo.report.learned import learned
    from ferhpo.report.pick import records

    found = learned(study, facts(study), frames.trials(study.trials()))
    return {
        "budget": records(found.budget),
        "choices": records(found.choices),
        "importances": records(found.importances.table),
        "importances_reason": found.importances.reason or None,
        "pairs": records(found.pairs.table),
        "pairs_reason": found.pairs.reason or None,
    }


def _told(found: dict[str, Any], metric: str) -> list[tuple[str, object]]:
    """Return what `learned_json` holds in lines for people."""
    facts: list[tuple[str, object]] = [
        (
            f"spent {row['state'].lower()}",
            f"{row['epochs']} epochs, {row['seconds']:.4g} s ({row['seconds_share']:.0%})",
        )
        for row in found["budget"]
    ]
    for name in dict.fromkeys(row["parameter"] for row in found["choices"]):
        best = [f"{r['choice']} {r['best']:.4f}" for r in found["choices"] if r["parameter"] == name]
        facts.append((f"best {metric} by {name}", ", ".join(best)))
    weighed = [f"{row['parameter']} {row['importance']:.0%}" for row in found["importances"]]
    facts.append(("importances", ", ".join(weighed) or found["importances_reason"]))
    met = [f"{row['first']} with {row['second']} {row['share']:.0%}" for row in found["pairs"]]
    return [*facts, ("pairs that interact", ", ".join(met) or found["pairs_reason"] or "none to speak of")]


def show_study(study: "Study", output: Format, *, every: bool = False) -> None:
    """Print a study: the best trials, or every one in order."""
    facts = summary(study)
    if output is Format.json:
        print_json(facts)
        return
    others = [name for name in study.objectives if name != study.metric]
    if facts["front"]:
        front = [
            (t["number"], t["value"], *_amounts(t["objectives"], others), settings(t["params"])) for t in facts["front"]
        ]
        print_table(("trial", study.metric, *others, "settings"), front, title="Pareto front")
    trials = study.every() if every else study.candidates()[:_LAST]
    rows = [
        (
            t.number,
            t.state.lower() + (f" ({t.origin})" if t.origin else ""),
            t.value,
            *_amounts(t.objectives, others),
            max(t.values, default=0),
            t.attrs.get("seconds"),
            settings(t.params),
            (t.attrs.get("figures") or {}).get("robust_accuracy"),
            t.attrs.get("error") or (None if t.eligible else f"breaks {t.attrs.get('broken', 'a constraint')}"),
        )
        for t in trials
    ]
    always = ("trial", "state", study.metric, *others, "epochs", "seconds", "settings")
    headers = (*always, "robust accuracy", "error")
    shown = [i for i in range(len(headers)) if i < len(always) or any(row[i] is not None for row in rows)]
    print_table([headers[i] for i in shown], [[row[i] for i in shown] for row in rows])
    states = ", ".join(f"{n} {state.lower()}" for state, n in facts["states"].items() if n)
    print_facts(
        [
            ("study", f"{study.name} ({states})"),
            ("database", facts["storage"]),
            (
                "best",
                f"trial {facts['best']['number']}: {study.metric} {facts['best']['value']:.4f}"
                if facts["best"]
                else "none yet",
            ),
            *(("confirmed", _again(one, study.metric)) for one in facts["confirmed"]),
            *([("winner", _winner(facts["confirmed"]))] if facts["confirmed"] else []),
            *([("constraints", _kept(facts))] if facts["constraints"] else []),
            ("running ensemble", _standing(facts["ensemble"], study.metric)),
            *(("prior", f"{n} trials of '{name}'") for name, n in facts["prior"].items()),
            ("test split", f"opened {len(study.openings)} times" if study.openings else "sealed"),
            *(("opened", f"{opening['date']} by {opening['command']}") for opening in study.openings),
            *(("on other data", _elsewhere(entry)) for entry in study.elsewhere),
        ]
    )
    if facts["interrupted"]:
        say(f"{facts['interrupted']} trials were cut off with their search; `ferhpo search` goes on with them")


def _elsewhere(entry: Mapping[str, Any]) -> str:
    """Say what was found on another data set; an evaluation that was broken off has no figures."""
    found = f", accuracy {entry['ensemble']['accuracy']:.4f}" if "ensemble" in entry else ""
    return f"{entry['date']} on {entry['source'] or 'rendered faces'}{found} by {entry['command']}"


def _amounts(found: Mapping[str, float], names: list[str]) -> list[float | None]:
    """Return objectives as they stand in a table: numbers of weights are whole."""
    return [round(found[n]) if n == "params" and n in found else found.get(n) for n in names]


def _again(found: dict[str, Any], metric: str) -> str:
    spread = "" if found["std"] is None else f" +- {found['std']:.4f}"
    seeds = "1 seed" if found["seeds"] == 1 else f"{found['seeds']} seeds"
    then = "" if found["searched"] is None else f"; searched {found['searched']:.4f}"
    return f"trial {found['number']}: {metric} {found['mean']:.4f}{spread} ({seeds}{then})"


def _winner(found: list[dict[str, Any]]) -> str:
    others = [str(one["number"]) for one in found if one["tied"]]
    apart = f", not told apart from {', '.join(others)} (paired t-test, 95 %)" if others else ""
    return f"trial {found[0]['number']}{apart}"


def _kept(facts: dict[str, Any]) -> str:
    return f"{', '.join(facts['constraints'])} (broken by {facts['infeasible']} of {facts['n_trials']} trials)"


def _standing(found: dict[str, Any] | None, metric: str) -> str:
    if found is None:
        return "none yet"
    of = f"greedy of {len(found['members'])} trials: {metric} {found['value']:.4f} cross-fitted"
    return f"{of}, best single {found['single']:.4f}"


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    best_trial = row["best"]
    return (
        row["name"],
        row["n_trials"],
        *row["states"].values(),
        f"{best_trial['value']:.4f}" if best_trial else "",
    )
