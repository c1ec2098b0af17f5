"""What stands below the accuracies of an ensemble, and that an older file that stores none of it is shown as well."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferhpo import scoring
from ferhpo.report.ensemble_frames import EnsembleTables, ensemble
from ferhpo.report.ensemble_parts import details, notes_of
from tests.report.made_up_study import LABELS, probabilities, write_ensemble

CLASSES = [f"class <{c}>" for c in range(probabilities().shape[1])]


def stored(*, test: bool) -> dict[str, Any]:
    """Return what an ensemble stores beside its accuracies."""
    figures = scoring.evaluated(probabilities(), LABELS, np.arange(len(LABELS)))
    both = {"ensemble": figures, "best_single": figures}
    quality = {"nll": 0.5, "ece": 0.25, "brier": 0.75}
    costs = {"members": 1, "parameters": 1000.0, "latency_ms": None}
    point = {"kind": "single", "accuracy": 0.5, "value": 0.5, "best": True, "costs": costs}
    return {
        "metric": "accuracy",
        "classes": CLASSES,
        "notes": ["the ensemble is <b>behind</b>"],
        "calibration": {"temperature": 1.5, "before": quality, "after": quality, "skipped": ""},
        "front": [
            point | {"name": "trial 3", "numbers": [3]},
            point | {"name": "greedy", "kind": "chosen", "numbers": [3, 5], "value": 0.625, "best": False},
        ],
        "evaluation": {"val": both, "test": both if test else None},
        "n_test": 100,
        "without_copies": {
            "n": 93,
            "ensemble": scoring.scored(probabilities(), LABELS, np.arange(len(LABELS))),
            "best_single": figures,
        },
    }


def read(folder: Path, *, test: bool, **more: Any) -> EnsembleTables:
    write_ensemble(folder, test=test, **(stored(test=test) | more))
    found = ensemble(folder)
    assert found is not None
    assert found.problem == ""
    return found


def test_all_that_is_stored_is_shown_and_nothing_of_it_becomes_a_tag(tmp_path: Path) -> None:
    found = read(tmp_path, test=True)
    page = "".join(details(found))
    for word in ("What less gives", "temperature 1.500", "Classes", "More figures", "R2 of one-hot", "1\u202f000"):
        assert word in page or word.replace("\u202f", "") in page
    assert "class &lt;1&gt;" in page
    assert "class <1>" not in page.replace("\\u003c", "<").partition("<table")[2]
    assert "trial 3" in page
    assert notes_of(found) == ['<p class="note">The ensemble is &lt;b&gt;behind&lt;/b&gt;.</p>']


def test_tables_hold_what_is_stored(tmp_path: Path) -> None:
    found = read(tmp_path, test=True)
    figures = scoring.evaluated(probabilities(), LABELS, np.arange(len(LABELS)))
    assert found.front["value"].tolist() == [0.5, 0.625]
    assert found.front["trials"].tolist() == ["3", "3 5"]
    assert found.confusion.to_numpy().tolist() == figures["confusion"]
    assert set(found.per_class["split"]) == {"val", "test"}
    assert found.per_class["f1"].tolist() == 2 * figures["per_class"]["f1"]
    assert len(found.more) == 4
    assert found.more["weighted_recall"].tolist() == [figures["weighted"]["recall"]] * 4
    assert [name for name in found.scores["name"] if "without 7 rows that have copies elsewhere" in name]


def test_an_interval_that_few_groups_do_not_tell_is_left_out(tmp_path: Path) -> None:
    assert " to 0." in "".join(details(read(tmp_path, test=False)))
    figures = scoring.evaluated(probabilities(), LABELS, np.zeros(len(LABELS), int))
    page = "".join(details(read(tmp_path, test=False, evaluation={"val": {"ensemble": figures}, "test": None})))
    assert "macro F1, 95 % by bootstrap" in page
    assert " to 0." not in page
    assert "nan" not in page


def test_a_sealed_test_split_leaves_validation_rows_alone(tmp_path: Path) -> None:
    found = read(tmp_path, test=False, without_copies=None)
    assert set(found.per_class["split"]) == set(found.more["split"]) == {"val"}
    assert "validation rows" in "".join(details(found))


def test_a_temperature_that_was_left_out_is_said_with_its_reason(tmp_path: Path) -> None:
    left = {"temperature": 1.0, "before": {}, "after": {}, "skipped": "not asked for"}
    assert "No temperature: not asked for." in "".join(details(read(tmp_path, test=False, calibration=left)))


def test_an_older_file_has_no_details(tmp_path: Path) -> None:
    write_ensemble(tmp_path, test=True)
    found = ensemble(tmp_path)
    assert found is not None
    assert details(found) == notes_of(found) == []


@pytest.mark.parametrize("more", [{"front": [{}]}, {"evaluation": {"val": {"ensemble": {}}}}])
def test_details_that_cannot_be_read_are_a_problem_and_not_an_error(tmp_path: Path, more: dict[str, Any]) -> None:
    write_ensemble(tmp_path, test=False, **more)
    found = ensemble(tmp_path)
    assert found is not None
    assert "cannot be read" in found.problem
