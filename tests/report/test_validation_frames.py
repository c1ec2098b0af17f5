"""Reliability and confusion against counts done by hand."""

import numpy as np
import pytest

from ferhpo import _layout
from ferhpo.report.validation_frames import by_class, confusion, judged, reliability
from ferhpo.study.study import Study
from ferhpo.study.trial import Trial
from tests.report.made_up_study import BEST, CLASSES, LABELS, probabilities


def best(study: Study) -> Trial:
    return study.trials()[BEST]


def test_the_best_trials_probabilities_are_read_with_their_labels(full: Study) -> None:
    found = judged(full, best(full))
    assert found is not None
    assert found[0] == pytest.approx(probabilities(), abs=1e-6)
    assert found[1].tolist() == LABELS.tolist()


def test_a_trial_without_a_checkpoint_has_nothing_to_judge(full: Study) -> None:
    assert judged(full, full.trials()[0]) is None
    assert judged(full, None) is None


def test_probabilities_that_do_not_fit_the_labels_are_left_out(full: Study) -> None:
    trial = best(full)
    assert trial.checkpoint is not None
    path = trial.checkpoint / _layout.PROBABILITIES
    kept = path.read_bytes()
    try:
        for damaged in (b"no numpy file", kept[:-8]):
            path.write_bytes(damaged)
            assert judged(full, trial) is None
        for wrong in (np.ones((3, 3)), np.full((120, 3), np.nan), np.ones((120, 2)), np.ones(120)):
            np.save(path, wrong)
            assert judged(full, trial) is None
    finally:
        path.write_bytes(kept)


def test_reliability_counts_each_row_in_the_bin_of_its_confidence() -> None:
    probs_nc = np.array([[0.95, 0.05], [0.9, 0.1], [0.55, 0.45], [1.0, 0.0]])
    table = reliability(probs_nc, np.array([0, 1, 1, 0]))
    assert table["rows"].tolist() == [1, 3]
    assert table["confidence"].tolist() == pytest.approx([0.55, 0.95])
    assert table["accuracy"].tolist() == pytest.approx([0.0, 2 / 3])


def test_confusion_has_labels_down_and_answers_across() -> None:
    table = confusion(probabilities(), LABELS, CLASSES)
    assert table.loc["happy", "happy"] == 48
    assert table.loc["happy", "neutral"] == 12
    assert table.to_numpy().sum() == 120


def test_confusion_numbers_the_classes_where_their_names_do_not_fit() -> None:
    assert list(confusion(probabilities(), LABELS, ["one"]).columns) == ["0", "1", "2"]


def test_figures_by_class_follow_from_the_confusion() -> None:
    table = by_class(confusion(probabilities(), LABELS, CLASSES)).set_index("class")
    assert table["rows"].to_dict() == {"angry": 20, "happy": 60, "neutral": 40}
    assert table.loc["happy", "recall"] == pytest.approx(0.8)
    assert table.loc["happy", "precision"] == pytest.approx(48 / 52)
    assert table.loc["happy", "f1"] == pytest.approx(96 / 112)


def test_figures_of_a_class_that_is_neither_label_nor_answer_are_0() -> None:
    table = by_class(confusion(np.array([[0.9, 0.1, 0.0]]), np.array([0]), CLASSES))
    assert table[["rows", "precision", "recall", "f1"]].to_numpy().tolist() == [[1] * 4, [0] * 4, [0] * 4]
