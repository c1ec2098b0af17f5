"""One self-contained page: opens offline, loads nothing, and shows what a study holds at the moment it was written."""

from collections.abc import Callable
from pathlib import Path

from ferhpo import _atomic
from ferhpo.report import sections, verdicts
from ferhpo.report.content import Content
from ferhpo.report.document import document
from ferhpo.report.markup import Html, count, duration, prose, tag, text
from ferhpo.report.pick import records, total
from ferhpo.study.study import Study

Section = Callable[[Content], Html | None]
SECTIONS: dict[str, tuple[str, Section]] = {  # anchor -> title and what stands under it
    "best": ("Best trial", sections.best),
    "confirmed": ("Confirmed with other seeds", verdicts.confirmed),
    "front": ("Pareto front", verdicts.front),
    "progress": ("Progress", sections.progress),
    "settings": ("What mattered", sections.settings),
    "cost": ("Cost", sections.cost),
    "mistakes": ("Mistakes of the best trial", sections.mistakes),
    "ensemble": ("Ensemble", sections.ensemble),
    "trials": ("Trials", sections.trials),
    "failures": ("Failed trials", sections.failures),
    "prior": ("Prior trials of other studies", verdicts.prior),
    "data": ("Data and study file", sections.data),
}


def write_report(study: Study, path: Path) -> Path:
    """Write the report of a study, in one step, over what stands at ``path``.

    Args:
        study: read once; a search may go on meanwhile.
        path: the HTML file; its folder is made.

    Returns:
        The absolute path.

    Raises:
        UsageError: it cannot be written.
    """
    content = page(study)
    with _atomic.for_user(path):
        _atomic.write_text(path, content)
    return path.resolve()


def page(study: Study) -> str:
    """Return the report as HTML."""
    content = Content.read(study)
    bodies = {
        anchor: (title, body) for anchor, (title, section) in SECTIONS.items() if (body := section(content)) is not None
    }
    links = [(anchor, title) for anchor, (title, _) in bodies.items()]
    parts = [
        *(tag("p", prose(note), class_="note") for note in sections.notes(content)),
        _tiles(content),
        *(tag("section", tag("h2", title, id=anchor), inner) for anchor, (title, inner) in bodies.items()),
    ]
    return document(content.facts.name, "ferhpo report", _subtitle(content), links, parts)


def _subtitle(content: Content) -> str:
    facts = content.facts
    way = "higher is better" if facts.maximize else "lower is better"
    more = f", and for {' and '.join(facts.others)}" if facts.others else ""
    kept = f" Constraints: {', '.join(facts.constraints)}." if facts.constraints else ""
    what = f"Searched for validation {facts.metric}, {way}{more}.{kept}"
    return f"{facts.description + '. ' if facts.description else ''}{what}"


def _tiles(content: Content) -> Html:
    facts, best, chosen, openings = content.facts, content.best, content.chosen, len(content.facts.openings)
    states = ", ".join(f"{row['trials']} {row['state']}" for row in records(content.learned.budget)) or "none yet"
    tiles = [(text(None), f"best {facts.metric}")]
    if best is not None:
        tiles = [(f"{best['value']:.4f}", f"best {facts.metric}, trial {best['number']}")]
    if chosen is not None:
        tiles.append((f"{chosen['accuracy']:.4f}", f"validation accuracy of the ensemble ({chosen['name']})"))
    tiles += [
        (text(len(content.found)), f"trials: {states}"),
        (text(int(total(content.table, "trained"))), "epochs trained"),
        (duration(total(content.table, "seconds")), "of training, all trials together"),
        (count(openings, "time"), "test split opened") if openings else ("sealed", "test split, never opened"),
    ]
    return tag(
        "div", *(tag("div", tag("b", shown), tag("span", what), class_="tile") for shown, what in tiles), class_="tiles"
    )
