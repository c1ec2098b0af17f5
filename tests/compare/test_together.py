"""All systems vote together where they share their rows; one whose validation rows others trained on stays out."""

import json
from pathlib import Path

import numpy as np

from ferhpo.compare import judge
from ferhpo.compare.together import MOST, together
from tests.ensemble.conftest import make

ENTRY = {"parameters": 10, "flops": 20, "configs": [{"arch": "vgg8"}]}


def lay_out(folder: Path, members: slice, split: str = "s", total: int = 4) -> Path:
    """Write what `judge` would leave of some of the made-up members."""
    probs_mnc, y_n = make(total, 260, classes=4, skill=1.5)
    (folder / judge.FOLDER).mkdir(parents=True)
    some = probs_mnc[members]
    of = [[number, ""] for number in range(len(some))]
    figures = {"of": of, "all": [ENTRY] * len(some), "split": split, "classes": list("abcd"), "single": {}}
    (folder / judge.FOLDER / judge.FIGURES).write_text(json.dumps(figures))
    val, test = slice(0, 160), slice(160, 260)
    rows = {"y_n": y_n[val], "groups_n": np.arange(160), "test_y_n": y_n[test], "test_groups_n": np.arange(100)}
    np.savez(folder / judge.FOLDER / judge.SAID, val_mnc=some[:, val], test_mnc=some[:, test], **rows)
    return folder


def test_members_of_several_studies_beat_the_best_of_them_and_cost_their_sum(tmp_path: Path) -> None:
    folders = [lay_out(tmp_path / "a", slice(0, 2)), lay_out(tmp_path / "b", slice(2, 4))]
    found, outside = together(folders, "accuracy")
    assert found is not None
    assert outside == []
    singles = [judge.said(folder) for folder in folders]
    best = max((p.argmax(1) == s["y_n"]).mean() for s in singles for p in s["val_mnc"])
    assert found["val"]["accuracy"] > best - 0.02
    assert found["parameters"] == 10 * len(found["trials"])
    assert set(found["studies"]) <= {"a", "b"}
    assert len(found["test"]["confusion"]) == 4


def test_a_study_whose_rows_are_split_in_another_way_stays_out(tmp_path: Path) -> None:
    folders = [lay_out(tmp_path / n, slice(i, i + 1), "other" if n == "c" else "s") for i, n in enumerate("abc")]
    found, outside = together(folders, "accuracy")
    assert found is not None
    assert set(found["studies"]) <= {"a", "b"}
    assert outside == ["c"]


def test_one_trial_alone_is_no_ensemble(tmp_path: Path) -> None:
    assert together([lay_out(tmp_path / "a", slice(0, 1))], "accuracy") == (None, [])
    assert together([tmp_path / "none"], "accuracy") == (None, [])
    assert MOST > 2
