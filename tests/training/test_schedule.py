import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferhpo.space.config import SCHEDULES
from ferhpo.training.schedule import factor

names = st.sampled_from(SCHEDULES)


@given(names, st.floats(-1, 2))
def test_a_factor_never_leaves_zero_to_one(name: str, progress: float) -> None:
    assert 0 <= factor(name, progress) <= 1


@given(names, st.floats(0.2, 1), st.floats(0.2, 1))
def test_after_the_warm_up_a_factor_never_rises(name: str, a: float, b: float) -> None:
    assert factor(name, min(a, b)) >= factor(name, max(a, b)) - 1e-12


@given(st.floats(0, 0.2), st.floats(0, 0.2))
def test_onecycle_rises_during_the_first_fifth(a: float, b: float) -> None:
    assert factor("onecycle", min(a, b)) <= factor("onecycle", max(a, b)) + 1e-12


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("onecycle", [0, 0.5, 1, 0.5, 0]),
        ("cosine", [1, 0.975528, 0.904508, 0.345492, 0]),
        ("exponential", [1, 0.630957, 0.398107, 0.0630957, 0.01]),
        ("constant", [1, 1, 1, 1, 1]),
    ],
)
def test_schedules_go_by_the_hand_table(name: str, values: list[float]) -> None:
    assert [factor(name, p) for p in (0, 0.1, 0.2, 0.6, 1)] == pytest.approx(values, abs=1e-6)
