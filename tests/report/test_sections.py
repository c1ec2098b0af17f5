"""What each section says, and which are left out where there is nothing to say."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ferhpo.report import sections
from ferhpo.report.content import Content
from ferhpo.report.learned import Finding
from ferhpo.study.study import Study
from tests.report.made_up_study import BEST, Maker, make_study, write_ensemble


@pytest.fixture(scope="module")
def content(full: Study) -> Content:
    return Content.read(full)


def test_the_best_trial_is_the_studys_best(content: Content, full: Study) -> None:
    best = full.best()
    assert best is not None
    assert content.best is not None
    assert content.best["number"] == best.number == BEST
    assert "<dd>0.9500</dd>" in (sections.best(content) or "")


def test_the_notes_name_trials_that_learned_next_to_nothing(content: Content) -> None:
    notes = " ".join(sections.notes(content))
    assert "13" in notes
    assert (
        "no clearly better than always answering the commonest class, which is right on 0.5000 of the validation rows"
        in notes
    )


def test_failed_trials_are_listed_with_their_reason(content: Content) -> None:
    shown = sections.failures(content) or ""
    assert "loss must be finite, got nan in epoch 2" in shown
    assert "not counted" in shown


def test_test_figures_stand_beside_the_number_of_openings(content: Content) -> None:
    shown = sections.ensemble(content)
    assert "Test split (test opened 1 time)" in shown
    assert "p = 0.03" in shown


def test_all_trials_are_in_one_table_best_first(content: Content) -> None:
    shown = sections.trials(content) or ""
    assert shown.count("<tr") == 1 + len(content.found)
    assert shown.index(f'data-sort="{BEST}"') < shown.index('data-sort="0"')


def test_robust_accuracy_has_a_column_where_a_trial_was_trained_on_attacked_images(
    content: Content, tmp_path: Path
) -> None:
    assert "robust accuracy" not in (sections.trials(content) or "")

    def attacked(maker: Maker) -> None:
        maker.trial("COMPLETE", attrs={"figures": {"accuracy": 0.7, "robust_accuracy": 0.4321}})

    shown = Content.read(make_study(tmp_path, attacked))
    assert "robust accuracy" in (sections.trials(shown) or "")
    assert "<dd>0.4321</dd>" in (sections.best(shown) or "")


def test_an_empty_study_says_how_to_go_on(empty: Study, tmp_path: Path) -> None:
    content = Content.read(empty)
    assert sections.best(content) is None
    assert sections.settings(content) is None
    assert sections.mistakes(content) is None
    assert sections.failures(content) is None
    assert "ferhpo ensemble --study faces" in (sections.ensemble(content) or "")
    assert any("No trial has ended" in note for note in sections.notes(content))


def test_a_study_of_failed_trials_alone_lists_them(tmp_path: Path) -> None:
    def fail(maker: Maker) -> None:
        for _ in range(2):
            maker.trial("FAIL", 0, {"error": "out of memory"})

    content = Content.read(make_study(tmp_path, fail))
    assert (sections.failures(content) or "").count("out of memory") == 2
    assert sections.progress(content) is None
    assert sections.cost(content) is not None
    assert sections.settings(content) is None


def test_a_damaged_ensemble_is_told_and_the_rest_is_shown(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (study.folder / "ensemble").mkdir()
    (study.folder / "ensemble" / "ensemble.json").write_text("{")
    assert "cannot be read" in (sections.ensemble(Content.read(study)) or "")


def test_a_sealed_test_split_has_no_test_figures(tmp_path: Path) -> None:
    study = make_study(tmp_path, lambda maker: maker.trial("COMPLETE"))
    write_ensemble(study.folder, test=False)
    assert "Test split" not in (sections.ensemble(Content.read(study)) or "")


def test_a_running_search_is_told(tmp_path: Path) -> None:
    seen: list[str] = []
    make_study(tmp_path, lambda maker: seen.extend(sections.notes(Content.read(Study.open(tmp_path, "faces")))))
    assert "A search of this study is running" in seen[0]


def test_settings_name_the_best_of_each_choice_and_why_no_pair_is_named(content: Content) -> None:
    shown = sections.settings(content) or ""
    assert "Best by choice" in shown
    assert "adamw" in shown
    assert "Pairs need at least 30 trials with values" in shown


def test_settings_name_pairs_that_interact(content: Content) -> None:
    table = pd.DataFrame([("lr", "momentum", 0.25)], columns=["first", "second", "share"])

    def told(found: pd.DataFrame) -> str:
        pairs = Finding(table=found, reason="")
        return sections.settings(replace(content, learned=replace(content.learned, pairs=pairs))) or ""

    shown = told(table)
    assert "25%" in shown
    assert "functional ANOVA" in shown
    assert "None to speak of" in told(table.head(0))
