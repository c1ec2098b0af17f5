"""Charts hold the numbers of their tables, unchanged; how they look is seen in a browser."""

import json
from typing import Any

import pandas as pd
import pytest

from ferhpo.report import frames, plots
from ferhpo.report.drawing import Figure
from ferhpo.report.facts import facts
from ferhpo.space.dimension import Dimension
from ferhpo.study.study import Study
from tests.report.drawn import traces
from tests.report.made_up_study import BEST

ENDED = pd.DataFrame(
    {
        "number": [0, 1],
        "state": ["COMPLETE", "PRUNED"],
        "value": [0.5, 0.25],
        "arch": ["a", None],
        "seconds": [8.0, 0.0],
    }
    | {"params_lr": [0.1, 0.01], "params_arch": ["<b>", "resnet9s"]}
)


def axis(figure: Figure) -> dict[str, Any]:
    return json.loads(str(figure.to_json()))["layout"]["xaxis"]


def test_history_has_the_points_of_both_states_and_the_line_of_the_best(full: Study) -> None:
    table = frames.history(frames.trials(full.trials()), maximize=True)
    pruned, complete, best = traces(plots.history(table, "accuracy"))
    assert len(pruned["y"]) + len(complete["y"]) == len(table) == 15
    assert best["y"][-1] == 0.95


def test_the_running_ensemble_is_drawn_beside_the_best_single_trial() -> None:
    table = pd.DataFrame({"trials": [2, 5], "ensemble": [0.5, 0.6], "single": [0.4, 0.55]})
    ensemble, single = traces(plots.standing(table, "accuracy"))
    assert (ensemble["x"], ensemble["y"]) == ([2, 5], [0.5, 0.6])
    assert (single["name"], single["y"]) == ("best single trial", [0.4, 0.55])


def test_curves_set_the_best_trial_apart(full: Study) -> None:
    table = frames.curves(full.trials())
    *others, best = traces(plots.curves(table, "value", "accuracy", BEST))
    assert best["name"] == f"best trial ({BEST})"
    assert best["y"] == [0.5, 0.7, 0.8, 0.95]
    assert sum(y is not None for trace in others for y in trace["y"]) == len(table) - 4


def test_a_slice_of_a_logarithmic_range_has_a_logarithmic_axis(full: Study) -> None:
    figure = plots.slices(ENDED, "lr", "params_lr", "accuracy", facts(full).dimensions["lr"])
    assert axis(figure)["type"] == "log"
    assert [trace["x"] for trace in traces(figure)] == [[0.01], [0.1]]


def test_a_slice_of_choices_has_them_all_in_their_order(full: Study) -> None:
    figure = plots.slices(ENDED, "arch", "params_arch", "accuracy", facts(full).dimensions["arch"])
    assert axis(figure)["categoryarray"] == ["resnet9s", "vgg8"]


def test_labels_from_a_study_are_escaped_for_plotly() -> None:
    figure = plots.slices(ENDED, "arch", "params_arch", "accuracy", None)
    assert [trace["x"] for trace in traces(figure)] == [["resnet9s"], ["&lt;b&gt;"]]


def test_what_cost_nothing_has_no_place_on_a_logarithmic_axis() -> None:
    figure = plots.against(ENDED, "seconds", "seconds", "accuracy")
    assert [trace["x"] for trace in traces(figure)] == [[8.0]]


@pytest.mark.parametrize(("other", "steps"), [("params", "hv"), ("macro_f1", "vh")])
def test_the_line_of_a_front_claims_nothing_that_no_trial_reached(other: str, steps: str) -> None:
    table = pd.DataFrame({"number": [0, 1], "value": [0.5, 0.7], "x": [0.2, 0.4], "best": [True, True]})
    _, front = traces(plots.objectives(table, "x", other, "accuracy", line=True))
    assert front["line"]["shape"] == steps


def test_budget_stacks_the_shares_of_each_state(full: Study) -> None:
    drawn = traces(plots.budget(frames.budget(full.trials())))
    assert [trace["name"] for trace in drawn] == ["COMPLETE", "PRUNED", "FAIL", "INTERRUPTED", "WAITING"]
    assert sum(trace["x"][2] for trace in drawn) == pytest.approx(1)


def test_importances_are_one_bar_each() -> None:
    (bars,) = traces(plots.importances(pd.DataFrame({"parameter": ["lr", "width"], "importance": [0.8, 0.2]})))
    assert (bars["y"], bars["x"]) == (["lr", "width"], [0.8, 0.2])


def test_a_whole_number_among_choices_keeps_its_name_where_some_trials_lack_it() -> None:
    table = ENDED.assign(params_width=[32, None])
    dimension = Dimension(name="width", choices=(16, 32), default=16)
    figure = plots.slices(table, "width", "params_width", "accuracy", dimension)
    assert axis(figure)["categoryarray"] == ["16", "32"]
    assert [trace["x"] for trace in traces(figure)] == [[], ["32"]]
