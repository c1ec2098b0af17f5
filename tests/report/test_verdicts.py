"""The Pareto front, what broke a constraint, the confirmation of the best, and prior trials, in the report."""

from pathlib import Path
from typing import Any

import pytest

from ferhpo.report import sections, verdicts
from ferhpo.report.content import Content
from ferhpo.report.html import page
from ferhpo.space.spec import parse_spec
from ferhpo.study.study import Study
from tests.report.made_up_study import SPEC, Maker, make_study

TWO = 'constraints = ["params <= 900"]\n' + SPEC.replace('"accuracy"', '["accuracy", "params"]')
VALUES = [(0.5, 100), (0.7, 300), (0.6, 200), (0.65, 400), (0.9, 1000)]  # accuracy, params; the last is too large


def two_objectives(maker: Maker) -> None:
    for accuracy, params in VALUES:
        maker.trial("COMPLETE", values=[accuracy] * 4, attrs={"costs": {"params": params}})
    maker.trial("PRUNED", 1, values=[0.4], attrs={"costs": {"params": 150}})
    number, *_ = maker.writer.ask(lambda c, n: c.with_params({"epochs": 4, "seed": n}))
    maker.writer.finish(number, "PRUNED", None, {"costs": {"params": 2000}})


def confirmed(maker: Maker) -> None:
    for accuracy in (0.6, 0.8, 0.79):
        maker.trial("COMPLETE", values=[accuracy] * 4)
    maker.writer.queue_repeats([1, 2], [11, 12])
    for number, value in zip(
        sorted(maker.writer.waiting_repeats([1, 2], [11, 12])), (0.70, 0.74, 0.72, 0.75), strict=True
    ):
        maker.writer.begin_repeat(number)
        maker.writer.report(number, 4, value, {"epoch": 4, "seconds": 1.0})
        maker.writer.finish(number, "COMPLETE", value, {"figures": {"accuracy": value}})


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("two"), two_objectives, parse_spec(TWO, name="two"))


@pytest.fixture(scope="module")
def content(study: Study) -> Content:
    return Content.read(study)


def test_the_front_is_the_trials_that_nobody_beats_and_that_keep_the_constraints(content: Content) -> None:
    table = content.front
    assert sorted(table["number"]) == [0, 1, 2, 3]
    assert table[table["best"]]["number"].tolist() == [1, 2, 0]
    shown = verdicts.front(content) or ""
    assert "Pareto front" in shown
    assert "accuracy against params." in shown


def test_the_best_trial_keeps_the_constraints_and_what_broke_them_is_said(content: Content) -> None:
    assert content.best is not None
    assert content.best["number"] == 1
    assert any("2 trials broke a constraint (params <= 900)" in note for note in sections.notes(content))
    shown = sections.trials(content) or ""
    assert "params &lt;= 900, got 1000" in shown
    assert "params &lt;= 900, got 2000" in shown


def test_a_trial_that_is_beaten_at_equal_accuracy_is_not_marked_best(tmp_path: Path) -> None:
    def tie(maker: Maker) -> None:
        for params in (500, 100):
            maker.trial("COMPLETE", values=[0.9] * 4, attrs={"costs": {"params": params}})

    content = Content.read(make_study(tmp_path, tie, parse_spec(TWO, name="two")))
    assert content.best is not None
    assert content.best["number"] == 1
    marked = (sections.trials(content) or "").partition('<tr class="best">')[2].partition("</tr>")[0]
    assert marked.partition("</td>")[0].endswith(">1")


def test_the_page_names_objectives_and_constraints(study: Study) -> None:
    text = page(study)
    assert "and for params. Constraints: params &lt;= 900." in text
    assert '<h2 id="front">' in text


def test_a_confirmation_stands_beside_what_the_search_saw(tmp_path: Path) -> None:
    study = make_study(tmp_path, confirmed)
    content = Content.read(study)
    assert content.best is not None
    assert content.best["number"] == 1
    assert len(content.found) == 3, "repeats are no trials of the search"
    shown = verdicts.confirmed(content) or ""
    winner, other = content.confirmed.to_dict("records")
    assert (winner["number"], other["number"]) == (2, 1)
    assert f"{winner['mean']:.4f} +- {winner['std']:.4f} (2 seeds)" in shown
    assert "0.7900" in shown
    assert "not told apart from the winner" in shown


def test_prior_trials_are_marked_as_another_studys(tmp_path: Path) -> None:
    kept: list[dict[str, Any]] = [
        {"number": 7, "state": "PRUNED", "epochs": [1, 2], "values": [0.1, 0.42], "settings": {"lr": 0.3}}
    ]
    study = make_study(tmp_path, lambda m: m.writer._study.set_user_attr("prior", {"older": kept}))
    content = Content.read(study)
    shown = verdicts.prior(content) or ""
    assert "1 trial of study 'older'" in shown.replace("&#x27;", "'").replace("&#39;", "'")
    assert "They are no trials of this study" in shown
    assert "0.4200" in shown
    assert content.best is None
    assert '<h2 id="prior">' in page(study)


def test_a_plain_study_has_none_of_these_sections(full: Study) -> None:
    content = Content.read(full)
    assert (verdicts.front(content), verdicts.confirmed(content), verdicts.prior(content)) == (None, None, None)
