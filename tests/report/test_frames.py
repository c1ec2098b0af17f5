"""Numbers of every table, against a study of which every trial is known."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ferhpo.report import frames
from ferhpo.report.pick import col, records, rows, total
from ferhpo.study.study import Study
from ferhpo.study.trial import Trial
from tests.report.made_up_study import BEST, score


def trial(number: int, state: str, value: float | None, **more: object) -> Trial:
    """A trial as the study returns it."""
    plain = {
        "params": {},
        "values": {},
        "checkpoint": None,
        "attrs": {},
        "started": None,
        "ended": None,
    }
    return Trial(number=number, state=state, value=value, **(plain | more))  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def table(full: Study) -> pd.DataFrame:
    return frames.trials(full.trials(), majority=0.5)


def row(table: pd.DataFrame, number: int) -> dict[str, Any]:
    return records(rows(table, col(table, "number") == number))[0]


def test_each_trial_is_one_row_with_its_known_numbers(table: pd.DataFrame, full: Study) -> None:
    assert table["number"].tolist() == list(range(19))
    first, config = row(table, 0), full.trials()[0].config
    assert config is not None
    assert first["state"] == "COMPLETE"
    assert first["value"] == pytest.approx(score(config) * (1 - 0.5**4))
    assert (first["epochs"], first["seconds"], first["images_per_second"], first["parameters"]) == (
        4,
        40.0,
        500.0,
        1_000_000,
    )
    assert (first["params_lr"], first["params_arch"], first["arch"]) == (0.1, "resnet9s", "resnet9s")


def test_an_unfinished_trial_has_its_latest_value_but_no_value(table: pd.DataFrame) -> None:
    waiting = row(table, 18)
    assert waiting["state"] == "WAITING"
    assert np.isnan(waiting["value"])
    assert waiting["latest"] > 0
    assert waiting["epochs"] == 2


def test_a_running_trial_of_a_dead_search_is_interrupted(table: pd.DataFrame) -> None:
    assert row(table, 17)["state"] == "INTERRUPTED"


def test_a_failed_trial_keeps_its_reason_and_whether_it_was_queued_again(table: pd.DataFrame) -> None:
    assert row(table, 14)["error"] == "loss must be finite, got nan in epoch 2"
    assert (row(table, 14)["requeued"], row(table, 15)["requeued"]) == (False, True)


def test_a_trial_within_a_point_of_the_commonest_class_is_flagged(table: pd.DataFrame) -> None:
    assert row(table, 13)["value"] == 0.505
    assert row(table, 13)["barely"]
    assert not row(table, BEST)["barely"]


@pytest.mark.parametrize(("accuracy", "flagged"), [(0.2, True), (0.51, True), (0.511, False)])
def test_the_flag_ends_one_point_above_the_commonest_class(accuracy: float, flagged: bool) -> None:
    found = [trial(0, "COMPLETE", accuracy, attrs={"figures": {"accuracy": accuracy}})]
    assert frames.trials(found, majority=0.5)["barely"].tolist() == [flagged]


def test_no_trial_is_flagged_where_the_commonest_class_is_unknown() -> None:
    found = [trial(0, "COMPLETE", 0.1, attrs={"figures": {"accuracy": 0.1}})]
    assert frames.trials(found)["barely"].tolist() == [False]


def test_ranked_puts_complete_before_pruned_and_both_by_value() -> None:
    found = [trial(0, "PRUNED", 0.9), trial(1, "FAIL", None), trial(2, "COMPLETE", 0.5), trial(3, "COMPLETE", 0.7)]
    table = frames.trials(found)
    assert frames.ranked(table, maximize=True)["number"].tolist() == [3, 2, 0, 1]
    assert frames.ranked(table, maximize=False)["number"].tolist() == [2, 3, 0, 1]


def test_among_equals_ranked_puts_those_of_the_front_first() -> None:
    table = frames.trials([trial(0, "COMPLETE", 0.7), trial(1, "COMPLETE", 0.9), trial(2, "COMPLETE", 0.9)])
    assert frames.ranked(table, maximize=True, front=[2])["number"].tolist() == [2, 1, 0]
    assert frames.ranked(table, maximize=True)["number"].tolist() == [1, 2, 0]


def test_history_follows_the_order_of_ending_and_keeps_the_best_complete_value() -> None:
    times = pd.date_range("2024-01-01", periods=4)
    found = [
        trial(0, "COMPLETE", 0.5, ended=times[1]),
        trial(1, "PRUNED", 0.9, ended=times[0]),
        trial(2, "COMPLETE", 0.4, ended=times[2]),
        trial(3, "COMPLETE", 0.6, ended=times[3]),
    ]
    table = frames.history(frames.trials(found), maximize=True)
    assert table["number"].tolist() == [1, 0, 2, 3]
    assert table["best"].tolist()[1:] == [0.5, 0.5, 0.6]
    assert np.isnan(table["best"][0])
    assert frames.history(frames.trials(found), maximize=False)["best"].tolist()[1:] == [0.5, 0.4, 0.4]


def test_history_of_pruned_trials_alone_has_their_best() -> None:
    table = frames.history(frames.trials([trial(0, "PRUNED", 0.3), trial(1, "PRUNED", 0.2)]), maximize=True)
    assert table["best"].tolist() == [0.3, 0.3]


def test_the_running_ensemble_is_a_curve_over_trials() -> None:
    assert list(frames.standing([]).columns) == ["trials", "ensemble", "single"]
    table = frames.standing([[2, 0.5, 0.4], [5, 0.6, 0.55]])
    assert table.to_dict("list") == {"trials": [2, 5], "ensemble": [0.5, 0.6], "single": [0.4, 0.55]}


def test_curves_hold_every_epoch_of_every_trial(full: Study) -> None:
    table = frames.curves(full.trials())
    assert len(table) == 11 * 4 + (1 + 2 + 1 + 1) + 1 + 3 + 2
    best = table[table["number"] == BEST]
    assert best["epoch"].tolist() == [1, 2, 3, 4]
    assert best["value"].tolist() == best["accuracy"].tolist() == [0.5, 0.7, 0.8, 0.95]
    assert best["train_loss"].tolist() == [2, 1, 2 / 3, 0.5]
    assert {"balanced_accuracy", "macro_f1", "nll", "ece", "lr", "seconds"} <= set(table.columns)


def test_curves_of_a_study_without_a_history_come_from_the_reported_values() -> None:
    table = frames.curves([trial(0, "PRUNED", 0.3, values={1: 0.2, 2: 0.3})])
    assert table["value"].tolist() == [0.2, 0.3]
    assert col(table, "train_loss").isna().all()


def test_budget_adds_up_by_state(full: Study) -> None:
    found = frames.budget(full.trials()).set_index("state")
    assert found["trials"].to_dict() == {"COMPLETE": 11, "PRUNED": 4, "FAIL": 2, "INTERRUPTED": 1, "WAITING": 1}
    assert found["epochs"].to_dict() == {"COMPLETE": 44, "PRUNED": 5, "FAIL": 1, "INTERRUPTED": 3, "WAITING": 2}
    assert found.loc["COMPLETE", "seconds"] == 440
    assert total(found, "seconds_share") == pytest.approx(1)


def test_what_a_copy_took_over_is_spent_once() -> None:
    values = {1: 0.2, 2: 0.3, 3: 0.4}
    attrs = {"copied_from": 0, "copied_at": 2, "history": [{"epoch": 3, "seconds": 5.0}], "seconds": 5.0}
    found = [trial(0, "PRUNED", 0.3, values=values), trial(1, "PRUNED", 0.4, values=values, attrs=attrs)]
    table = frames.trials(found)
    assert table["epochs"].tolist() == [3, 3]
    assert table["trained"].tolist() == [3, 1]
    assert col(table, "origin").isna().tolist() == [True, False]
    assert col(table, "origin").tolist()[1] == "copy of 0 after 2"
    assert frames.budget(found)["epochs"].tolist() == [4]


def test_what_confirming_took_is_a_row_of_its_own() -> None:
    found = [
        trial(0, "COMPLETE", 0.9, values={1: 0.8, 2: 0.9}, attrs={"seconds": 4.0}),
        trial(1, "COMPLETE", 0.9, values={1: 0.8, 2: 0.9}, attrs={"seconds": 4.0, "repeats": 0}),
        trial(2, "FAIL", None, values={1: 0.8}, attrs={"seconds": 2.0, "repeats": 0}),
    ]
    table = frames.budget(found).set_index("state")
    assert table["epochs"].to_dict() == {"COMPLETE": 2, "REPEAT": 3}
    assert table["seconds_share"].to_dict() == {"COMPLETE": 0.4, "REPEAT": 0.6}


def test_budget_of_trials_that_took_nothing_has_no_share() -> None:
    found = frames.budget([trial(0, "WAITING", None)])
    assert found["seconds_share"].tolist() == [0]


def test_tables_of_no_trials_are_empty() -> None:
    table = frames.trials([])
    assert len(table) == 0
    assert frames.budget([]).empty
    assert frames.history(table, maximize=True).empty
    assert frames.curves([]).empty
