"""A trial of the database, as a reader gets it."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from ferhpo.study.trial import Trial, read_trial


def read(folder: Path, *, orphaned: bool = False, names: tuple[str, ...] = ("accuracy",), **trial: Any) -> Trial:
    frozen = optuna.trial.create_trial(**trial)
    return read_trial(frozen, folder, names, "accuracy", orphaned=orphaned)


def test_the_value_is_that_of_the_metric(tmp_path: Path) -> None:
    both = read(tmp_path, names=("params", "accuracy"), values=[10.0, 0.5])
    assert (both.value, both.objectives) == (0.5, {"params": 10.0, "accuracy": 0.5})


def test_of_a_pruned_trial_of_several_objectives_what_is_known_is_told(tmp_path: Path) -> None:
    attrs = {"costs": {"params": 10.0}, "figures": {"accuracy": 0.3}}
    pruned = {"state": TrialState.PRUNED, "intermediate_values": {1: 0.2, 2: 0.3}, "user_attrs": attrs}
    assert read(tmp_path, names=("params", "accuracy"), **pruned).objectives == {"params": 10.0, "accuracy": 0.3}


def test_a_trial_under_way_has_no_value_yet(tmp_path: Path) -> None:
    under_way = {"state": TrialState.RUNNING, "intermediate_values": {1: 0.2}}
    assert read(tmp_path, **under_way).value is None
    assert read(tmp_path, **under_way).state == "RUNNING"
    assert read(tmp_path, orphaned=True, **under_way).state == "INTERRUPTED"


def test_a_checkpoint_that_is_gone_is_none(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    kept = [read(tmp_path, value=0.5, user_attrs={"checkpoint": name}).checkpoint for name in ("here", "gone")]
    assert kept == [tmp_path / "here", None]


@pytest.mark.parametrize(
    ("attrs", "counts"),
    [({}, True), ({"interrupted": True}, False), ({"repeats": 1}, False), ({"copied_from": 1}, True)],
)
def test_what_counts_ended_by_itself_and_belongs_to_the_search(
    tmp_path: Path, attrs: dict[str, Any], *, counts: bool
) -> None:
    trial = read(tmp_path, value=0.5, user_attrs=attrs)
    assert trial.counts == counts
    assert (trial.repeats, trial.copied_from) == ("repeats" in attrs, attrs.get("copied_from"))


@pytest.mark.parametrize(
    ("attrs", "said"),
    [({}, ""), ({"repeats": 3}, "again 3"), ({"copied_from": 3, "copied_at": 6}, "copy of 3 after 6")],
)
def test_what_a_trial_has_of_another_one_is_said(tmp_path: Path, attrs: dict[str, Any], said: str) -> None:
    assert read(tmp_path, value=0.5, user_attrs=attrs).origin == said
