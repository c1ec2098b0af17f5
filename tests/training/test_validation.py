from collections.abc import Callable

import numpy as np
import pytest
import torch

from ferhpo.data.cache import Prepared
from ferhpo.errors import DataError, TrainingError
from ferhpo.metrics import figures
from ferhpo.models.registry import build
from ferhpo.space.config import TrialConfig
from ferhpo.training.adversarial import of_testing
from ferhpo.training.images import Preprocessing
from ferhpo.training.precision import Precision
from ferhpo.training.predict import probabilities
from ferhpo.training.validation import ROBUST, Validation

FP32 = Precision(format="fp32", channels_last=True)


def preprocessing(data: Prepared) -> Preprocessing:
    return Preprocessing(stored_size=8, image_size=8, channels=1, mean=data.mean, std=data.std, mirror=False)


def test_an_epoch_is_scored_on_the_validation_rows_alone(data: Prepared, tiny: TrialConfig) -> None:
    model = build(tiny, classes=3, channels=1)
    found = Validation(data, preprocessing(data), "cpu", FP32).evaluate(model, 7, "epoch 7")
    part = data.part("val")
    probs = probabilities(model, data.images, preprocessing(data), rows=part.rows)
    assert np.array_equal(found.probs, probs)
    assert found.figures == figures(probs.astype(np.float64), part.labels)
    assert found.epoch == 7
    assert found.weights.keys() == model.state_dict().keys()


def test_probabilities_that_are_not_finite_end_the_training(data: Prepared, tiny: TrialConfig) -> None:
    model = build(tiny, classes=3, channels=1)
    torch.nn.init.constant_(model.get_parameter("classifier.bias"), float("nan"))
    with pytest.raises(TrainingError, match="must be finite, got others after epoch 7, step 3; set a lower lr"):
        Validation(data, preprocessing(data), "cpu", FP32).evaluate(model, 7, "epoch 7, step 3")


def holding(model: torch.nn.Module, most: int) -> list[int]:
    """Let a model hold so many images at a time; return how many it was given."""
    sizes: list[int] = []

    def look(_: torch.nn.Module, args: tuple[torch.Tensor]) -> None:
        sizes.append(len(args[0]))
        if sizes[-1] > most:
            raise torch.OutOfMemoryError

    model.register_forward_pre_hook(look)
    return sizes


def test_a_batch_that_memory_does_not_hold_is_halved_and_stays_so(data: Prepared, tiny: TrialConfig) -> None:
    model = build(tiny, classes=3, channels=1)
    validation = Validation(data, preprocessing(data), "cpu", FP32)
    whole = validation.evaluate(model, 1, "").probs
    sizes = holding(model, 5)
    for _ in range(2):
        assert np.allclose(validation.evaluate(model, 1, "").probs, whole, atol=1e-6)
    assert sizes == [24, 12, 6] + 16 * [3]


def test_attacked_rows_that_memory_does_not_hold_are_halved_too(data: Prepared, tiny: TrialConfig) -> None:
    model = build(tiny, classes=3, channels=1)
    validation = Validation(data, preprocessing(data), "cpu", FP32)
    found = validation.evaluate(model, 1, "")
    sizes = holding(model, 6)
    attacked = validation.attacked(model, found, of_testing(tiny, preprocessing(data)))
    assert 0 <= attacked.figures[ROBUST] <= found.figures["accuracy"]
    assert sizes[:2] == [24, 12]
    assert max(sizes[2:]) <= 6


def test_a_net_of_which_memory_does_not_hold_one_image_fails_with_what_to_do(data: Prepared, tiny: TrialConfig) -> None:
    model = build(tiny, classes=3, channels=1)
    sizes = holding(model, 0)
    with pytest.raises(TrainingError, match=r"must fit into the memory of cpu, one image at a time did not \(.*\); "):
        Validation(data, preprocessing(data), "cpu", FP32).evaluate(model, 1, "")
    assert sizes == [24, 12, 6, 3, 2, 1]


def test_a_data_set_without_validation_rows_is_refused(make_data: Callable[..., Prepared]) -> None:
    data = make_data(val=0)
    with pytest.raises(DataError, match="at least 1 validation image"):
        Validation(data, preprocessing(data), "cpu", FP32)


def test_the_seconds_of_a_validation_are_measured(data: Prepared, tiny: TrialConfig) -> None:
    assert Validation(data, preprocessing(data), "cpu", FP32).seconds(build(tiny, classes=3, channels=1)) > 0


def test_a_net_that_is_sure_is_attacked_in_fp16_as_in_float32(data: Prepared, tiny: TrialConfig) -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3, bias=False))
    bands = torch.zeros(3, 8, 8)
    for k in range(3):
        bands[k, 2 * k : 2 * k + 2] = 1.0  # what is bright in class k
    with torch.no_grad():
        model.get_parameter("1.weight").copy_(0.9 * bands.flatten(1))
    config, found = tiny.with_params({"adversarial": "pgd", "adversarial_epsilon": 0.5}), []
    for name in ("fp32", "fp16"):
        seen = Validation(data, preprocessing(data), "cpu", Precision(format=name, channels_last=True))
        plain = seen.evaluate(model, 1, "")
        assert plain.figures["accuracy"] == 1
        assert plain.figures["nll"] < 1e-7  # so that no gradient is left in fp16
        found.append(seen.attacked(model, plain, of_testing(config, preprocessing(data))).figures[ROBUST])
    assert found == [0, 0]


def test_an_attack_in_float32_on_a_net_in_fp16_is_reckoned_to_take_longer(data: Prepared) -> None:
    plain, short = (
        Validation(data, preprocessing(data), "cpu", Precision(format=name, channels_last=True)).attacked_seconds(1.0)
        for name in ("bf16", "fp16")
    )
    assert short > plain
