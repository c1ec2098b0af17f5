from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ferhpo.ensemble import artifact, card
from ferhpo.ensemble.build import build
from ferhpo.ensemble.combine import Combination


@pytest.fixture
def stored(fake: Any, made: Any) -> artifact.Artifact:
    return artifact.read(build(fake(*made(3, 600)), top=3, method="uniform", command="ferhpo ensemble").folder)


def test_it_says_what_was_measured_and_what_was_not(stored: artifact.Artifact) -> None:
    text = card.render(stored, stored.cards())
    assert "On 600 validation rows" in text
    for figures in (stored.report["val"], stored.report["best_single"]["val"]):
        assert f"{figures['accuracy']:.4f}" in text
    assert "{:.3f} to {:.3f}".format(*stored.report["val"]["ci95"]) in text
    assert "No test figure: the test split was sealed" in text
    assert "3 complete; sampler tpe, scheduler asha, at most 3 epochs a trial, seed 0" in text
    assert "3,000 parameters in all" in text
    assert text.count("| 0.333 |") == 3
    assert "`ferhpo ensemble`" in text


def test_the_card_in_the_folder_is_the_same(stored: artifact.Artifact) -> None:
    there = (stored.folders[0].parent.parent / artifact.MODEL_CARD).read_text()
    assert there == card.render(stored, stored.cards())


def test_a_test_figure_comes_with_the_number_of_openings(stored: artifact.Artifact) -> None:
    figures = {**stored.report["val"], "accuracy": 0.4321}
    single = {**stored.report["best_single"], "test": figures}
    report = {**stored.report, "test": figures, "n_test": 77, "test_openings": 2, "mcnemar_p": 0.031}
    text = card.render(replace(stored, report=report | {"best_single": single}), stored.cards())
    assert "On 77 test rows" in text
    assert "was opened 2 times" in text
    assert "0.4321" in text
    assert "p = 0.031" in text
    assert "No test figure" not in text


def test_what_must_be_said_before_the_figures_is(stored: artifact.Artifact) -> None:
    report = {**stored.report, "notes": ["member -1 is a soup", "x"]}
    text = card.render(replace(stored, report=report), stored.cards())
    assert "## Figures\n\n- Member -1 is a soup.\n- X.\n\nOn 600 validation rows" in text


def test_what_an_expression_tells_is_said_of_expressions_alone(stored: artifact.Artifact) -> None:
    feels = "what a person feels cannot be told"
    assert feels not in card.render(stored, stored.cards())
    assert feels in card.render(replace(stored, classes=("happy", "sad")), stored.cards())


def test_rows_of_every_class_and_split_are_counted(stored: artifact.Artifact) -> None:
    counts = {"train": {"class0": 1200, "class1": 3}, "val": {"class0": 5}}
    known = {**stored.provenance, "data": {"format": "folders", "counts": counts}}
    text = card.render(replace(stored, provenance=known), stored.cards())
    assert "| class0 | 1,200 | 5 |" in text
    assert "| all | 1,203 | 5 |" in text


def test_names_of_classes_are_shown_as_they_are(stored: artifact.Artifact) -> None:
    counts = {"train": {"zeb|ra": 3, "<script>": 4}}
    known = {**stored.provenance, "data": {"format": "folders", "counts": counts}}
    text = card.render(replace(stored, classes=("zeb|ra", "<script>"), provenance=known), stored.cards())
    assert r"| zeb\|ra | 3 |" in text
    assert "| &lt;script> | 4 |" in text
    assert "<script>" not in text


def test_names_and_commands_mark_nothing_up(stored: artifact.Artifact) -> None:
    names = ("[a](javascript:x)", "![b](http://c/d.png)", "*e* _f_", "&lt;g>", "snake_case")
    known = {**stored.provenance, "command": "ferhpo ensemble --data 'a<b`c'"}
    text = card.render(replace(stored, classes=names, provenance=known), stored.cards())
    assert r"\[a\](javascript:x), !\[b\](http://c/d.png), \*e\* \_f\_, &amp;lt;g>, snake_case." in text
    assert "command: ``ferhpo ensemble --data 'a<b`c'``" in text


def test_a_temperature_and_the_card_of_a_single_net(stored: artifact.Artifact) -> None:
    warm = Combination(method="uniform", weights_m=np.ones(1), temperature=1.25)
    one = replace(stored, combination=warm, numbers=(0,), folders=stored.folders[:1], report={}, provenance={})
    text = card.render(one, [{**stored.cards()[0], "figures": {"accuracy": 0.5123}}])
    assert "temperature 1.250" in text
    assert "Made of one net" in text
    assert "0.5123" in text
    assert "| trial |" not in text
    assert "## Search" not in text
