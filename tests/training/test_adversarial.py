from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ferhpo.data.cache import Prepared
from ferhpo.metrics import metric
from ferhpo.space.config import TrialConfig
from ferhpo.training import adversarial
from ferhpo.training.adversarial import Attack, of_training
from ferhpo.training.images import Preprocessing
from ferhpo.training.loop import train
from ferhpo.training.precision import Precision
from ferhpo.training.result import EpochResult
from ferhpo.training.validation import ROBUST, Evaluated, Validation

EPSILON = 0.1
SEEN = Preprocessing(stored_size=8, image_size=8, channels=1, mean=(0.4,), std=(0.2,), mirror=False)
WEAK = {"adversarial": "pgd", "adversarial_epsilon": 0.12, "adversarial_share": 1.0, "adversarial_steps": 3}


def images(rows: int = 6) -> torch.Tensor:
    pixels = torch.rand(rows, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    pixels[0], pixels[1] = 0.0, 1.0
    return (pixels - 0.4) / 0.2


def pixels(x: torch.Tensor) -> torch.Tensor:
    return x * 0.2 + 0.4


def rises(x: torch.Tensor) -> torch.Tensor:
    """Be a loss that a brighter left half and a darker right half raise."""
    return x[..., :4].sum() - x[..., 4:].sum()


def test_fgsm_moves_every_pixel_by_epsilon_against_the_net_and_no_further_than_an_image_can_hold() -> None:
    x = images()
    moved = pixels(Attack(SEEN, EPSILON, 1, start=False)(x, rises))
    before = pixels(x)
    assert torch.allclose(moved[..., :4], (before[..., :4] + EPSILON).clamp(max=1), atol=1e-6)
    assert torch.allclose(moved[..., 4:], (before[..., 4:] - EPSILON).clamp(min=0), atol=1e-6)


def test_pgd_stays_within_epsilon_and_within_an_image_and_ends_at_the_border_where_the_loss_is_straight() -> None:
    x = images()
    torch.manual_seed(0)
    moved = pixels(Attack(SEEN, EPSILON, 4, start=True)(x, rises))
    before = pixels(x)
    assert float((moved - before).abs().max()) <= EPSILON + 1e-6
    assert float(moved.min()) >= 0
    assert float(moved.max()) <= 1 + 1e-6
    assert torch.allclose(moved[..., :4], (before[..., :4] + EPSILON).clamp(max=1), atol=1e-6)


def test_steps_find_a_higher_loss_than_one_where_the_loss_is_bent() -> None:
    x = images()

    def bent(seen: torch.Tensor) -> torch.Tensor:
        return -((pixels(seen) - pixels(x) - 0.05) ** 2).sum()

    one, many = (Attack(SEEN, EPSILON, steps, start=False)(x, bent) for steps in (1, 20))
    assert bent(many) > bent(one)


def test_a_gradient_that_is_not_finite_moves_nothing() -> None:
    x = images()
    moved = Attack(SEEN, EPSILON, 1, start=False)(x, lambda seen: (seen * float("nan")).sum())
    assert torch.equal(moved, x)


def test_an_attack_leaves_norms_and_gradients_as_they_are() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    adversarial.still(model)
    Attack(SEEN, EPSILON, 2, start=True)(images(), lambda x: model(x).square().sum())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


def test_without_the_setting_nothing_is_attacked(tiny: TrialConfig) -> None:
    assert of_training(tiny, SEEN) is None
    assert of_training(tiny.with_params({"adversarial": "fgsm"}), SEEN) is not None


def last(config: TrialConfig, data: Prepared, **more: Any) -> EpochResult:
    *_, result = train(config, data, metric=metric("accuracy"), **more)
    return result


@pytest.mark.parametrize("more", [{"adversarial": "fgsm"}, WEAK, {**WEAK, "mixup": 0.2, "precision": "bf16"}])
def test_a_training_on_attacked_images_learns_and_says_what_it_withstands(
    data: Prepared, tiny: TrialConfig, more: dict[str, Any]
) -> None:
    result = last(tiny.with_params({"epochs": 8, "batch_size": 8, **more}), data)
    assert result.figures["accuracy"] > 0.8
    assert 0.3 < result.figures[ROBUST] <= result.figures["accuracy"]


def striped(data: Prepared) -> Prepared:
    """Say each image's class a second time, in stripes that an attack can level."""
    y, x = np.indices((8, 8))
    stripes = np.stack([x % 2, y % 2, (x + y) % 2])
    images = data.images + 60 * stripes[data.labels][..., None]
    return replace(data, images=np.minimum(images, 255).astype(np.uint8))


@pytest.mark.slow  # four seeds: one alone shows little with so few images
def test_it_withstands_more_than_a_training_on_the_images_as_they_are(
    make_data: Callable[..., Prepared], tiny: TrialConfig
) -> None:
    data = striped(make_data(train=200, val=60))
    config = tiny.with_params({"epochs": 20, "lr": 0.01, **WEAK, "adversarial_epsilon": 0.26})
    plain = config.with_params({"adversarial": "fgsm", "adversarial_share": 0.01})
    robust = [[last(c.with_params({"seed": s}), data).figures[ROBUST] for s in range(4)] for c in (config, plain)]
    assert np.mean(robust[0]) > np.mean(robust[1]) + 0.1


def test_robust_accuracy_stands_at_the_end_alone_and_is_of_the_restored_weights(
    data: Prepared, tiny: TrialConfig
) -> None:
    config = tiny.with_params({**WEAK, "patience": 1, "epochs": 9, "batch_size": 8})
    *before, end = train(config, data, metric=metric("accuracy"))
    assert all(ROBUST not in result.figures for result in before)
    assert end.restored is not None
    assert end.figures[ROBUST] <= end.figures["accuracy"]


def test_a_budget_of_time_holds_the_attack_on_the_validation_rows(data: Prepared, tiny: TrialConfig) -> None:
    result = last(tiny.with_params(WEAK), data, seconds=3.0)
    assert result.done
    assert ROBUST in result.figures


def test_of_many_validation_rows_some_are_attacked_and_a_net_that_ignores_the_image_is_as_right_as_before(
    make_data: Callable[..., Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ferhpo.training.validation.TEST_ROWS", 10)
    data = make_data(val=24)
    linear = nn.Linear(64, 3)
    with torch.no_grad():
        linear.weight.zero_()
        linear.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    fixed = nn.Sequential(nn.Flatten(), linear)
    found = Evaluated(epoch=1, weights={}, figures={"accuracy": 1 / 3}, probs=np.zeros((24, 3)))
    validation = Validation(data, SEEN, "cpu", Precision(format="fp32", channels_last=False))
    figures = validation.attacked(fixed, found, Attack(SEEN, EPSILON, 2, start=True)).figures
    rows = data.part("val").labels[::3]
    assert figures == {"accuracy": 1 / 3, ROBUST: (rows == 0).mean()}
