"""The model of learning curves against closed forms, brute force, and curves it must tell apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from scipy.optimize import check_grad

from ferhpo.search.surrogate import fidelity
from ferhpo.search.surrogate.encoding import Encoding
from ferhpo.search.surrogate.fidelity import MOST_ROWS, Curve, Process, Surrogate, curve, scaled

X = Encoding({"x": FloatDistribution(0, 1)})


def test_a_curve_keeps_first_and_last_and_grows_with_the_logarithm_of_its_length() -> None:
    long = curve({}, {epoch: epoch / 10 for epoch in range(1, 101)}, maximize=True)
    assert long.epochs.tolist() == [1, 2, 4, 8, 16, 32, 64, 100]
    assert long.values.tolist() == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10])
    assert curve({}, {0: 1.0, 3: 2.0}, maximize=False).values.tolist() == [-1, -2]


@given(st.lists(st.floats(-100, 100).map(lambda v: round(v, 3)), min_size=2, max_size=30), st.floats(1e-6, 1e6))
def test_scaled_values_do_not_depend_on_unit_and_origin(values: list[float], unit: float) -> None:
    array = np.array(values)
    np.testing.assert_allclose(scaled(unit * array + 3 * unit), scaled(array), atol=1e-5)


@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_values_may_be_as_large_and_as_small_as_numbers_get(unit: float) -> None:
    values = np.array([-1.0, 0.0, 0.5, 1.0, np.inf])
    np.testing.assert_allclose(scaled(unit * values), scaled(values))


def test_scaled_values_are_standard_and_what_diverged_counts_as_bad_only() -> None:
    values = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
    assert (scaled(values).mean(), scaled(values).std()) == pytest.approx((0, 1))
    worse = [np.append(values, bad) for bad in (-1.0, -1e300, np.nan, np.inf, -np.inf)]
    for array in worse[1:]:
        assert scaled(array)[5] == scaled(array).min()
        assert np.ptp(scaled(array)[:5]) > 1
    assert scaled(np.full(4, np.nan)).tolist() == scaled(np.ones(4)).tolist() == [0, 0, 0, 0]


def test_a_process_is_the_textbook_formula() -> None:
    rng = np.random.default_rng(0)
    x, y, new = rng.random((12, 2)), rng.normal(size=12), rng.random((5, 2))
    theta = np.log([4.0, 0.5, 1.1, 0.4, 0.1])

    def matern(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        r = np.sqrt(5) * np.abs(a[:, None] - b[None])
        return (1 + r + r**2 / 3) * np.exp(-r)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return matern(2 * a[:, 0], 2 * b[:, 0]) * (1.1 + 0.4 * matern(a[:, 1] / np.sqrt(2), b[:, 1] / np.sqrt(2)))

    solved = np.linalg.solve(kernel(x, x) + (0.1 + fidelity.JITTER) * np.eye(12), kernel(x, new))
    mean, std = Process(x, y, theta).predict(new)
    np.testing.assert_allclose(mean, solved.T @ y, atol=1e-9)
    np.testing.assert_allclose(std**2, 1.5 - (kernel(new, x) @ solved).diagonal(), atol=1e-9)


def test_the_gradient_of_the_fit_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    taken = []

    def minimize(loss: object, start: np.ndarray, **_: object) -> object:
        taken.append(loss)
        return type("Result", (), {"x": start})

    monkeypatch.setattr("scipy.optimize.minimize", minimize)
    x = rng.random((15, 3))
    x[5:10, :2], x[:, 2] = x[:5, :2], x[:, 2].round(1)  # the same configurations at other epochs
    Process(x, scaled(x[:, 0] + rng.normal(0, 0.1, 15)))
    for point in rng.normal(0, 0.7, (3, 6)):
        assert check_grad(lambda t: taken[0](t)[0], lambda t: taken[0](t)[1], point) < 1e-4


def test_a_fit_finds_the_column_that_matters() -> None:
    x = np.random.default_rng(0).random((60, 3))
    lengths = Process(x, scaled(np.sin(5 * x[:, 1]))).theta[:3]
    assert lengths[1] > max(lengths[0], lengths[2]) + 1


def test_believing_leaves_the_mean_and_takes_the_doubt_away() -> None:
    x = np.random.default_rng(0).random((10, 1)) * 0.3
    process = Process(x, scaled(x[:, 0]))
    far = np.array([[0.8]])
    believed = process.believing(far)
    assert believed.predict(far)[0] == pytest.approx(process.predict(far)[0], abs=0.05)
    assert believed.predict(far)[1] < 0.5 * process.predict(far)[1]


def test_the_end_is_predicted_where_the_first_epochs_say_the_opposite() -> None:
    """Curves of x: a large x leads at first and is overtaken; most were stopped at once."""
    rng = np.random.default_rng(0)

    def until(x: float, last: int) -> Curve:
        return curve({"x": x}, {e: (1 - x) * np.log(e) + x for e in (1, 3, 9)[:last]}, maximize=True)

    curves = [until(x, 3 if i % 4 == 0 else 1) for i, x in enumerate(rng.random(40))]
    surrogate = Surrogate(X, curves, 9, rng)
    mean, _ = surrogate.process.predict(surrogate.at_end(np.linspace(0, 1, 11)[:, None]))
    assert np.all(np.diff(mean) < 0)


def test_the_fit_is_bounded_and_keeps_the_best() -> None:
    rng = np.random.default_rng(0)
    curves = [curve({"x": x}, {e: x - 1 / e for e in range(1, 21)}, maximize=True) for x in rng.random(2000)]
    surrogate = Surrogate(X, curves, 20, rng)
    assert MOST_ROWS - 6 <= len(surrogate.process.y) <= MOST_ROWS
    assert max(surrogate.rows) == max(c.params["x"] for c in curves)


def transferred(offset: float, sign: float) -> np.ndarray:
    """Return predicted means at 0, 0.1 ... 1 from 5 own trials on [0, 0.4] and 20 of another study on [0, 1]."""
    own = [Curve(params={"x": x}, epochs=np.array([9.0]), values=np.array([x])) for x in np.linspace(0, 0.4, 5)]
    others = [
        Curve(params={"x": x}, epochs=np.array([9.0]), values=np.array([offset + sign * x]), elsewhere=True)
        for x in np.linspace(0, 1, 20)
    ]
    surrogate = Surrogate(X, [*own, *others], 9, np.random.default_rng(0))
    assert surrogate.own.sum() == 5
    return surrogate.process.predict(surrogate.at_end(np.linspace(0, 1, 11)[:, None]))[0]


def test_another_study_tells_what_this_one_has_not_seen() -> None:
    mean = transferred(0.0, 1.0)
    assert np.corrcoef(mean, np.linspace(0, 1, 11))[0, 1] > 0.98
    assert mean[10] > mean[4] + 0.5


def test_what_this_study_has_seen_outweighs_another_one() -> None:
    assert np.all(np.diff(transferred(1.0, -1.0)[:4]) > 0)


def test_another_study_leaves_room_where_this_one_knows_enough() -> None:
    own = [Curve(params={"x": 0.5}, epochs=np.array([9.0]), values=np.array([0.5])) for _ in range(MOST_ROWS - 2)]
    others = [Curve(params={"x": 0.1}, epochs=np.array([9.0]), values=np.array([9.0]), elsewhere=True)] * 50
    surrogate = Surrogate(X, [*own, *others], 9, np.random.default_rng(0))
    assert (surrogate.own.sum(), len(surrogate.own)) == (MOST_ROWS - 2, MOST_ROWS)
