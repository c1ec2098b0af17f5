import pandas as pd
import pytest

from ferhpo.report.classifier_plots import scores
from ferhpo.report.drawing import near
from ferhpo.report.plots import importances, slices, standing

ONE = pd.DataFrame(
    {"number": [0], "state": ["COMPLETE"], "value": [0.5], "params_arch": ["resnet9s"]}
    | {"low": [0.4], "high": [0.6], "kind": ["single"], "name": ["a"], "accuracy": [0.5]}
)


@pytest.mark.parametrize(("value", "ends"), [(0.8, [0.76, 0.84]), (-2, [-2.1, -1.9]), (0.0, [-0.01, 0.01])])
def test_equal_values_have_an_axis_close_to_them(value: float, ends: list[float]) -> None:
    table = pd.DataFrame({"trials": [2, 5], "ensemble": [value] * 2, "single": [value] * 2})
    figure = near(standing(table, "accuracy"))
    assert figure.layout.yaxis.range == pytest.approx(ends)
    assert figure.layout.xaxis.range is None


def test_an_axis_of_counts_names_or_several_values_is_plotlys_own() -> None:
    figure = near(scores(ONE.assign(known=False), "accuracy"))
    assert figure.layout.xaxis.range == pytest.approx([0.475, 0.525])
    assert figure.layout.yaxis.range is None
    assert near(scores(ONE.assign(known=True), "accuracy")).layout.xaxis.range is None
    several = near(slices(pd.concat([ONE, ONE.assign(value=0.25)]), "arch", "params_arch", "accuracy", None))
    assert several.layout.yaxis.range is None
    bars = importances(pd.DataFrame({"parameter": ["a", "b"], "importance": [0.5, 0.5]}))
    assert near(bars).layout.xaxis.range is None
