import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ferhpo.study.quantities import by_epoch, known, nondominated

points = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12)


@given(points)
def test_a_point_is_on_the_front_unless_another_one_is_nowhere_worse_and_somewhere_better(
    found: list[tuple[int, int]],
) -> None:
    beaten = [any(q != p and all(a >= b for a, b in zip(q, p, strict=True)) for q in found) for p in found]
    assert nondominated(np.array(found, float)).tolist() == [not b for b in beaten]


def test_with_one_objective_the_front_is_the_best_and_its_equals() -> None:
    assert nondominated(np.array([[1.0], [3.0], [3.0]])).tolist() == [False, True, True]
    assert nondominated(np.empty((0, 2))).tolist() == []


def test_quantities_of_an_epoch_are_its_figures_and_the_trials_costs() -> None:
    history = [{"epoch": 1, "figures": {"accuracy": 0.3}}, {"epoch": 2, "figures": {"accuracy": 0.4, "nll": 1.0}}]
    attrs = {"costs": {"params": 7}, "history": history, "figures": {"accuracy": 0.4}}
    assert known(attrs) == {"params": 7, "accuracy": 0.4}
    assert by_epoch(attrs, ("accuracy", "params")) == {1: (0.3, 7), 2: (0.4, 7)}
    assert by_epoch(attrs, ("nll",)) == {2: (1.0,)}
    assert by_epoch({}, ("accuracy",)) == {}
