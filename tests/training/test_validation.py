from collections.abc import Callable

import numpy as np
import pytest
import torch

from ferhpo.data.cache import Prepared
from ferhpo.errors import DataError, TrainingError
from ferhpo.metrics import figures
from ferhpo.models.registry import build
from ferhpo.space.config import TrialConfig
from ferhpo.training.images import Preprocessing
from ferhpo.training.precision import Precision
from ferhpo.training.predict import probabilities
from ferhpo.training.validation import Validation

FP32 = Precision(format="fp32", channels_last=True)


def preprocessing(data: Prepared) -> Preprocessing:
    return Preprocessing(stored_size=8, image_size=8, channels=1, mean=data.mean, std=data.std, mirror=False)


def test_an_epoch_is_scored_on_the_validation_rows_alone(data: Prepared, tiny: TrialConfig) -> None:
    model = build(tiny, classes=3, channels=1)
    found = Validation(data, preprocessing(data), "cpu", FP32).evaluate(model, 7)
    part = data.part("val")
    probs = probabilities(model, data.images, preprocessing(data), rows=part.rows)
    assert np.array_equal(found.probs, probs)
    assert found.figures == figures(probs.astype(np.float64), part.labels)
    assert found.epoch == 7
    assert found.weights.keys() == model.state_dict().keys()


def test_probabilities_that_are_not_finite_end_the_training(data: Prepared, tiny: TrialConfig) -> None:
    model = build(tiny, classes=3, channels=1)
    torch.nn.init.constant_(model.get_parameter("classifier.bias"), float("nan"))
    with pytest.raises(TrainingError, match="must be finite, epoch 7 gave others; set a lower lr"):
        Validation(data, preprocessing(data), "cpu", FP32).evaluate(model, 7)


def test_a_data_set_without_validation_rows_is_refused(make_data: Callable[..., Prepared]) -> None:
    data = make_data(val=0)
    with pytest.raises(DataError, match="at least 1 validation image"):
        Validation(data, preprocessing(data), "cpu", FP32)


def test_the_seconds_of_a_validation_are_measured(data: Prepared, tiny: TrialConfig) -> None:
    assert Validation(data, preprocessing(data), "cpu", FP32).seconds(build(tiny, classes=3, channels=1)) > 0
