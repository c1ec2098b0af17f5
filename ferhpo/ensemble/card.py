"""The model card: what an ensemble is, what it was made of and what it scored, in Markdown for people.

Every sentence is a figure of the study or of the ensemble, or a limit that follows from how it was made.

References:
    Mitchell et al. 2019, Model Cards for Model Reporting, arXiv 1810.03993.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ferhpo.data.names import CANONICAL
from ferhpo.ensemble.members import GREY

if TYPE_CHECKING:
    from ferhpo.ensemble.artifact import Artifact
    from ferhpo.study.study import Study

SHOWN = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "nll": "NLL",
    "ece": "ECE",
}
VIEWS = {
    "own": "the image, and its mirror image for members that were trained on mirrored ones",
    "none": "the image alone",
    "flip": "the image and its mirror image",
    "shift": "the image and itself moved by 2 pixels two ways, each with its mirror image for members trained on those",
}


def background(study: "Study") -> dict[str, Any]:
    """Return what a card says of a study: its data without a path of this machine, and its search."""
    spec = study.spec
    return {
        "data": {key: study.data.get(key) for key in ("format", "counts")},
        "search": {
            "sampler": spec.sampler.name,
            "scheduler": spec.scheduler.name,
            "epochs": spec.budget.epochs,
            "seed": spec.seed,
            "trials": study.states(),
        },
    }


def render(stored: "Artifact", cards: Sequence[Mapping[str, Any]]) -> str:
    """Return the model card.

    Args:
        stored: an ensemble, or a checkpoint read as one; `background` is part of its provenance where it is known.
        cards: model.json of its members.
    """
    parts = [
        _head(stored, cards),
        _use(stored.classes),
        _data(stored),
        _search(stored.provenance),
        _members(stored, cards),
        _figures(stored, cards),
        _limits(stored),
        _provenance(stored.provenance),
    ]
    return "\n".join(part for part in parts if part)


def _head(stored: "Artifact", cards: Sequence[Mapping[str, Any]]) -> str:
    size, frames = stored.preprocessing["stored_size"], stored.preprocessing.get("frames", 1)
    grey = stored.preprocessing["channels"] == frames or stored.preprocessing.get(GREY)
    kind = "grey" if grey else "RGB"
    taken = f"{kind} images" if frames == 1 else f"sequences of {frames} {kind} images"
    name = stored.provenance.get("study")
    nets = f"{len(cards)} nets, combined by {_code(stored.combination.method)}" if len(cards) > 1 else "one net"
    temperature = stored.combination.temperature
    facts = [
        f"Input: {taken}, scaled to {size} x {size} pixels.",
        f"Output: probabilities of {len(stored.classes)} classes: {', '.join(map(_plain, stored.classes))}.",
        f"Made of {nets}; {_count(sum(card.get('parameters', 0) for card in cards))} parameters in all.",
        f"A net's probabilities are averaged over {VIEWS[stored.tta]}.",
    ]
    if temperature != 1:
        facts.append(f"Pooled probabilities are sharpened or softened by temperature {temperature:.3f}.")
    return f"# Model card: {f'study {_plain(name)}' if name else 'an image classifier'}\n\n{_bullets(facts)}"


def _use(classes: Sequence[str]) -> str:
    facts = ["Meant for images like those it was trained on, and for research and teaching with them."]
    if set(classes) <= set(CANONICAL):
        facts += [
            "It says which expression people would name a face by; what a person feels cannot be told from that.",
            "Not meant for decisions about people (hiring, schools, policing, health).",
        ]
    return f"## Intended use\n\n{_bullets(facts)}"


def _data(stored: "Artifact") -> str:
    data, mark = stored.provenance.get("data") or {}, stored.provenance.get("fingerprint", "unknown")
    text = f"Fingerprint of the images: {_code(mark)}.\n"
    counts = data.get("counts")
    if counts:
        rows = [(name, *(f"{counts[part].get(name, 0):,}" for part in counts)) for name in stored.classes]
        rows.append(("all", *(f"{sum(counts[part].values()):,}" for part in counts)))
        text = f"Format: {_plain(data['format'])}. {text}\n{_table(('class', *counts), rows)}"
    return (
        f"## Data and split\n\n{text}\nTraining rows train; validation rows end trainings, choose members and fit how "
        "they are combined; test rows\nare sealed until they are opened. Identical images never stand in two splits.\n"
    )


def _search(provenance: Mapping[str, Any]) -> str:
    search = provenance.get("search")
    if not search:
        return ""
    trials = ", ".join(f"{count} {state.lower()}" for state, count in search["trials"].items() if count)
    facts = [
        f"Trials: {trials or 'none'}; sampler {search['sampler']}, scheduler {search['scheduler']}, at most "
        f"{search['epochs']} epochs a trial, seed {search['seed']}.",
        f"Searched for: {provenance.get('metric', 'unknown')} on validation rows.",
    ]
    return f"## Search\n\n{_bullets(facts)}"


def _members(stored: "Artifact", cards: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for number, weight, card in zip(stored.numbers, stored.combination.weights_m, cards, strict=True):
        config, scored = card.get("config", {}), card.get("figures", {})
        said = (config.get("arch", "unknown"), _count(card.get("parameters", 0)), card.get("epoch", ""))
        rows.append((number, f"{weight:.3f}", *said, _number(scored.get("accuracy"))))
    head = ("trial", "weight", "architecture", "parameters", "epochs", "validation accuracy")
    shown = 0 if stored.report else 1  # the net of a checkpoint is no trial that anybody knows of
    return f"## Members\n\n{_table(head[shown:], [row[shown:] for row in rows])}"


def _figures(stored: "Artifact", cards: Sequence[Mapping[str, Any]]) -> str:
    report = stored.report
    if not report:
        figures = cards[0].get("figures", {})
        return f"## Figures\n\nOn validation rows:\n\n{_scores({'this net': figures})}" if figures else ""
    single = report["best_single"]
    notes = "".join(f"- {_plain(note[0].upper() + note[1:])}.\n" for note in report.get("notes", ()))
    text = notes and f"{notes}\n"
    text += (
        f"On {report['n_val']:,} validation rows; the ensemble's by cross-fitting, so that no row is scored by a fit "
        "that saw it.\nThe rows chose the best single trial, which flatters it, and the members, which flatters the "
        "ensemble less:\n\n"
        + _scores({"ensemble": report["val"], f"best single (trial {single['number']})": single["val"]})
    )
    openings = report["test_openings"]
    if report["test"] is None:
        said = f"It was opened {openings} times so far." if openings else "It was never opened."
        return f"## Figures\n\n{text}\nNo test figure: the test split was sealed when this was made. {said}\n"
    text += (
        f"\nOn {report['n_test']:,} test rows{', which chose nothing' if openings == 1 else ''}; the study's test "
        f"split was opened {openings} times so far:\n\n"
        + _scores({"ensemble": report["test"], "best single": single["test"]})
    )
    p = report["mcnemar_p"]
    return f"## Figures\n\n{text}\nMcNemar's exact test that both are right equally often: p = {p:.3g}.\n"


def _limits(stored: "Artifact") -> str:
    facts = [
        "It always names one of its classes, also for an image that shows none of them; such images were not tested.",
        "It was scored on images of the same source as its training images; other cameras, poses or ages of images "
        "were not tested.",
        "Nothing was measured by groups of people (age, sex, skin, culture); differences between them are unknown.",
        "Figures count agreement with the labels as they are, wrong labels included.",
    ]
    if stored.report and stored.report["test"] is None:
        facts.append("Validation rows chose trials and members; figures on unseen rows are usually lower.")
    return f"## Limits\n\n{_bullets(facts)}"


def _provenance(provenance: Mapping[str, Any]) -> str:
    facts = [f"{key}: {_code(provenance[key])}" for key in ("study", "command", "date", "ferhpo") if key in provenance]
    return f"## Provenance\n\n{_bullets(facts)}" if facts else ""


def _scores(rows: Mapping[str, Mapping[str, Any]]) -> str:
    body = []
    for name, found in rows.items():
        interval = "{:.3f} to {:.3f}".format(*found["ci95"]) if "ci95" in found else ""
        body.append((name, *(_number(found.get(key)) for key in SHOWN), interval))
    return _table(("", *SHOWN.values(), "accuracy, 95 %"), body)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [[_plain(str(cell)) for cell in line] for line in (head, ["---"] * len(head), *rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _bullets(facts: Iterable[str]) -> str:
    return "".join(f"- {fact}\n" for fact in facts)


def _plain(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line: names of classes and files may be anything."""
    marked = re.sub(r"([\\`*\[\]|~]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))
    return marked.replace("&", "&amp;").replace("<", "&lt;")


def _code(text: object) -> str:
    """Return a text as code, in a fence that it does not hold."""
    line = " ".join(str(text).split())
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    room = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{room}{line}{room}{fence}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _count(parameters: int) -> str:
    return f"{parameters:,}" if parameters else "an unknown number of"
