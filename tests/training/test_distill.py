import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ferhpo.errors import DataError, UsageError
from ferhpo.space.config import TrialConfig
from ferhpo.training.distill import fingerprint, soft_labels

LOGITS = np.random.default_rng(0).normal(0, 3, (5, 4)).astype(np.float32)
TEACHER = torch.softmax(torch.from_numpy(LOGITS), 1).numpy()


@given(st.floats(0.5, 10))
def test_probabilities_at_a_temperature_are_the_softmax_of_logits_over_it(temperature: float) -> None:
    soft = soft_labels(TrialConfig(distill=0.5, temperature=temperature), TEACHER, 5, 4)
    assert soft is not None
    assert torch.allclose(soft, torch.softmax(torch.from_numpy(LOGITS) / temperature, 1), atol=1e-5)


def test_a_probability_of_zero_is_no_trouble() -> None:
    soft = soft_labels(TrialConfig(distill=0.5, temperature=4.0), np.eye(3, dtype=np.float32), 3, 3)
    assert soft is not None
    assert torch.isfinite(soft).all()
    assert torch.equal(soft.argmax(1), torch.arange(3))


def test_without_distillation_a_teacher_is_not_looked_at() -> None:
    assert soft_labels(TrialConfig(), None, 5, 4) is None
    assert soft_labels(TrialConfig(), TEACHER, 9, 9) is None
    assert fingerprint(None) is None


def test_distillation_without_a_teacher_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"distill needs a teacher's probabilities, got distill=0\.5 without; run `ferhpo distill`"
    ):
        soft_labels(TrialConfig(distill=0.5), None, 5, 4)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (TEACHER[1:], r"must give 5 training images x 4 classes, got \(4, 4\)"),
        (TEACHER * 2, "must be at least 0 and sum to 1"),
        (TEACHER * np.float32(np.nan), "must be at least 0 and sum to 1"),
        (np.full((5, 4), [-0.5, 0.5, 0.5, 0.5]), "must be at least 0 and sum to 1"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(teacher: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        soft_labels(TrialConfig(distill=0.5), teacher, 5, 4)


def test_another_teacher_has_another_fingerprint() -> None:
    config = TrialConfig(distill=0.5)
    one, other = (fingerprint(soft_labels(config, t, 5, 4)) for t in (TEACHER, TEACHER[::-1].copy()))
    assert one == fingerprint(soft_labels(config, TEACHER, 5, 4)) != other
