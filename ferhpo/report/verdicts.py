"""Sections on what decides beside the value: the Pareto front, the confirmation of the best, prior trials."""

from ferhpo.report import plots
from ferhpo.report.content import Content
from ferhpo.report.frames import AIM, PARAM
from ferhpo.report.markup import Html, count, join, table, tag
from ferhpo.report.parts import cells, chart
from ferhpo.report.pick import col, records, rows

MOST = 200  # prior trials in the table


def front(content: Content) -> Html | None:
    """The trials that no other one dominates."""
    facts, found = content.facts, content.front
    on = rows(found, col(found, "best")) if len(found) else found
    if not len(on):
        return None
    told = (
        f"COMPLETE trials{' that keep the constraints' if facts.constraints else ''} that no other one beats in every "
        f"objective, best by {facts.metric} first."
    )
    line = len(facts.others) == 1
    drawn = rows(found, col(found, "value").notna())
    charts = [
        chart(plots.objectives(drawn, AIM + name, name, facts.metric, line=line), f"{facts.metric} against {name}.")
        for name in facts.others
    ]
    heads = {"number": "trial", "value": facts.metric} | {AIM + name: name for name in facts.others}
    heads |= {c: c.removeprefix(PARAM) for c in on.columns if c.startswith(PARAM) and col(on, c).notna().any()}
    return join(
        [tag("p", told, class_="soft"), tag("div", *charts, class_="pair"), table(heads, map(cells, records(on)))]
    )


def confirmed(content: Content) -> Html | None:
    """The best configurations trained again, beside what the search saw of them."""
    found, metric = records(content.confirmed), content.facts.metric
    if not found:
        return None
    lines = []
    for i, row in enumerate(found):
        spread = "" if row["std"] != row["std"] else f" +- {row['std']:.4f}"
        said = "winner" if i == 0 else "not told apart from the winner" if row["tied"] else "behind the winner"
        seeds = "1 seed" if row["seeds"] == 1 else f"{row['seeds']} seeds"
        lines.append(
            {
                "number": row["number"],
                "confirmed": (f"{row['mean']:.4f}{spread} ({seeds})", row["mean"]),
                "searched": None if row["searched"] != row["searched"] else f"{row['searched']:.4f}",
                "verdict": said,
                "trials": row["trials"],
            }
        )
    told = (
        "The best trials, trained again to the end with other seeds, the same for each: mean and standard deviation of "
        f"validation {metric}. The search's own value is the best of many, so it tends to be too good. Winner by the "
        "mean; two are told apart by a t-test paired by seed, at 95 %."
    )
    heads = {"number": "trial", "confirmed": f"confirmed {metric}", "searched": "searched", "verdict": "verdict"}
    return join([tag("p", told, class_="soft"), table(heads | {"trials": "trained as"}, lines, marked=[0])])


def prior(content: Content) -> Html | None:
    """Trials of other studies that the sampler learned from; none of them is a trial of this one."""
    found, metric = content.prior, content.facts.metric
    if not len(found):
        return None
    best_first = found.sort_values("value", ascending=not content.facts.maximize)
    some = f" The best {MOST} of them." if len(found) > MOST else ""
    names = ", ".join(f"'{name}'" for name in dict.fromkeys(col(found, "study")))
    told = (
        f"{count(len(found), 'trial')} of study {names}, which the sampler learned from (--from-study). They are no "
        f"trials of this study: they do not count, and none of them can be best.{some}"
    )
    heads = {"study": "prior, of study", "number": "its trial", "state": "state", "value": metric, "epochs": "epochs"}
    heads |= {c: c.removeprefix(PARAM) for c in found.columns if c.startswith(PARAM)}
    return join([tag("p", told, class_="soft"), table(heads, map(cells, records(best_first.head(MOST))))])
