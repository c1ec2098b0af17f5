import pandas as pd

from ferhpo.report import classifier_plots
from tests.report.drawn import traces


def test_scores_without_an_interval_have_no_arms() -> None:
    row = {
        "name": "x",
        "kind": "chosen",
        "split": "val",
        "accuracy": 0.5,
        "low": float("nan"),
        "high": float("nan"),
        "known": False,
    }
    assert traces(classifier_plots.scores(pd.DataFrame([row]), "accuracy"))[0]["error_x"]["visible"] is False


def test_a_front_joins_what_nothing_as_cheap_beats() -> None:
    table = pd.DataFrame(
        {
            "name": ["trial 0", "<b>", "weighted"],
            "kind": ["single", "greedy", "chosen"],
            "best": [True, True, False],
            "value": [0.5, 0.6, 0.55],
            "parameters": [10.0, 20.0, 30.0],
        }
    )
    line, *rest = traces(classifier_plots.front(table, "parameters", "parameters", "accuracy"))
    assert (line["x"], line["y"]) == ([10, 20], [0.5, 0.6])
    assert [one["customdata"] for one in rest] == [["trial 0"], ["&lt;b&gt;"], ["weighted"]]
    assert rest[-1]["name"] == "in use"


def test_a_confusion_table_shows_its_counts_and_is_coloured_by_shares() -> None:
    table = pd.DataFrame([[3, 1], [0, 4]], index=["a", "b"], columns=["a", "b"])
    (cells,) = traces(classifier_plots.confusion(table, table.div(table.sum(axis=1), axis=0)))
    assert cells["text"] == [[3, 1], [0, 4]]
    assert cells["z"] == [[0.75, 0.25], [0, 1]]
