from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferhpo.ensemble.calibrate import HIGHEST, LOWEST, calibrated, temperature
from ferhpo.ensemble.combine import Combination, fit_uniform, softmax, tempered
from ferhpo.ensemble.folds import cross_fit, deal
from ferhpo.metrics import ece, nll


def drawn(rows: int, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and labels drawn by them: calibrated."""
    rng = np.random.default_rng(seed)
    probs = softmax(rng.normal(0, 1.5, (rows, classes)))
    return probs, (rng.random((rows, 1)) > probs.cumsum(1)).sum(1)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_no_temperature_of_a_fine_grid_has_a_lower_nll(seed: int) -> None:
    probs, y = drawn(80, seed=seed)
    found = temperature(probs, y)
    grid = np.geomspace(LOWEST, HIGHEST, 400)
    assert nll(tempered(probs, found), y) <= min(nll(tempered(probs, t), y) for t in grid) + 1e-9


@pytest.mark.parametrize("wrong", [0.4, 1.0, 2.5])
def test_it_takes_back_a_known_temperature(wrong: float) -> None:
    probs, y = drawn(20_000)
    assert temperature(tempered(probs, 1 / wrong), y) == pytest.approx(wrong, rel=0.05)


def test_two_classes_meet_the_closed_form() -> None:
    # All rows say odds 9; three of four are right: odds 3 = 9 ** (1 / T).
    assert temperature(np.tile([0.9, 0.1], (4, 1)), np.array([0, 0, 0, 1])) == pytest.approx(2, abs=1e-6)


def test_hopeless_and_perfect_probabilities_stop_at_the_ends() -> None:
    y = np.arange(30) % 3
    assert LOWEST <= temperature(np.eye(3)[y] * 0.7 + 0.1, y) < 0.1
    assert temperature(np.eye(3)[(y + 1) % 3] * 0.7 + 0.1, y) == pytest.approx(HIGHEST, rel=1e-3)
    assert np.isfinite(temperature(np.full((30, 3), 1 / 3), y))


def test_it_changes_no_decision_and_makes_an_underconfident_mean_honest() -> None:
    probs, y = drawn(3000)
    flat = tempered(probs, 3.0)[None]
    fitted = calibrated(fit_uniform)(flat, y, np.arange(3000))
    held = cross_fit(calibrated(fit_uniform), flat, y, np.arange(3000), deal(y, np.arange(3000)))
    assert (fitted.predict(flat).argmax(1) == flat[0].argmax(1)).all()
    assert fitted.temperature == pytest.approx(1 / 3, rel=0.1)
    assert ece(held, y) < 0.03 < 0.2 < ece(flat[0], y)
    assert nll(held, y) < nll(flat[0], y)


def test_the_temperature_is_fitted_to_rows_that_the_combination_did_not_see(made: Any) -> None:
    probs, y = made(1, 300)
    seen: list[set[float]] = []

    class Probe:
        method, temperature = "uniform", 1.0

        def __init__(self, rows: np.ndarray) -> None:
            self.rows = set(rows.tolist())

        def predict(self, probs_mnc: np.ndarray) -> np.ndarray:
            assert not self.rows & set(probs_mnc[0, :, 0].tolist())
            seen.append(set(probs_mnc[0, :, 0].tolist()))
            return probs_mnc[0]

    def fit(probs_mnc: np.ndarray, y_n: np.ndarray, groups_n: np.ndarray) -> Any:
        if len(y_n) == 300:
            return fit_uniform(probs_mnc, y_n, groups_n)
        return Probe(probs_mnc[0, :, 0])

    assert isinstance(calibrated(fit)(probs, y, np.arange(300)), Combination)
    assert set.union(*seen) == set(probs[0, :, 0].tolist())
