import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from ferhpo.space.config import LOSSES, WEIGHTINGS, TrialConfig
from ferhpo.training.losses import build, class_weights

COUNTS = torch.tensor([40, 5, 20])


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.randn(6, 3) * 3, torch.randint(0, 3, (6,))


@given(st.integers(0, 1000), st.floats(0, 0.9), st.sampled_from(WEIGHTINGS))
@settings(deadline=None, max_examples=30)
def test_label_smoothing_equals_torch_but_for_its_divisor(seed: int, smoothing: float, weighting: str) -> None:
    config = TrialConfig(loss="label_smoothing", smoothing=smoothing, class_weighting=weighting)
    logits, y = batch(seed)
    weights = class_weights(config, COUNTS)
    want = functional.cross_entropy(logits, y, weights, label_smoothing=smoothing, reduction="none").sum() / len(y)
    assert torch.allclose(build(config, COUNTS)(logits, functional.one_hot(y, 3).float()), want, atol=1e-5)


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_cross_entropy_of_soft_targets_equals_torch(seed: int) -> None:
    logits, _ = batch(seed)
    targets = torch.rand(6, 3).softmax(1)
    loss = build(TrialConfig(loss="cross_entropy"), COUNTS)
    assert torch.allclose(loss(logits, targets), functional.cross_entropy(logits, targets), atol=1e-5)


def test_focal_with_gamma_zero_is_cross_entropy_and_less_with_more() -> None:
    logits, y = batch(1)
    targets = functional.one_hot(y, 3).float()
    at = [float(build(TrialConfig(loss="focal", focal_gamma=g), COUNTS)(logits, targets)) for g in (0.0, 0.5, 2.0)]
    assert at[0] == pytest.approx(float(functional.cross_entropy(logits, y)), abs=1e-5)
    assert at[0] > at[1] > at[2]


def test_focal_goes_by_its_equation() -> None:
    logits, y = batch(2)
    p = logits.softmax(1)[torch.arange(6), y]
    want = -((1 - p) ** 2 * p.log()).mean()
    got = build(TrialConfig(loss="focal", focal_gamma=2.0), COUNTS)(logits, functional.one_hot(y, 3).float())
    assert torch.allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_stay_finite_at_certain_logits(loss: str) -> None:
    logits = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 0.0]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    build(TrialConfig(loss=loss, focal_gamma=0.5), COUNTS)(logits, targets).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("loss", LOSSES)
def test_class_weights_have_mean_one_over_rows(loss: str, weighting: str) -> None:
    weights = class_weights(TrialConfig(loss=loss, class_weighting=weighting), COUNTS)
    assert float((weights * COUNTS).sum() / COUNTS.sum()) == pytest.approx(1)


def test_inverse_weights_are_by_count_and_sqrt_by_its_root() -> None:
    inverse = class_weights(TrialConfig(class_weighting="inverse"), COUNTS)
    root = class_weights(TrialConfig(class_weighting="sqrt"), COUNTS)
    assert torch.allclose(inverse, 65 / (3 * COUNTS))
    assert float(root[1] / root[0]) == pytest.approx(8**0.5)


def test_class_balanced_goes_by_effective_numbers() -> None:
    weights = class_weights(TrialConfig(loss="class_balanced", balance_beta=0.9), COUNTS)
    assert float(weights[1] / weights[0]) == pytest.approx((1 - 0.9**40) / (1 - 0.9**5), rel=1e-5)


@given(st.integers(0, 1000), st.floats(0.5, 8), st.floats(0.1, 1))
@settings(deadline=None, max_examples=30)
def test_distillation_lies_between_the_loss_and_the_teachers_at_its_temperature(
    seed: int, temperature: float, weight: float
) -> None:
    config = TrialConfig(loss="focal", distill=weight, temperature=temperature)
    logits, y = batch(seed)
    hard, soft = functional.one_hot(y, 3).float(), torch.rand(6, 3).softmax(1)
    own = build(config.with_params({"distill": 0.0}), COUNTS)(logits, hard)
    teachers = functional.cross_entropy(logits / temperature, soft) * temperature**2
    got = build(config, COUNTS)(logits, torch.stack((hard, soft), 1))
    assert torch.allclose(got, (1 - weight) * own + weight * teachers, rtol=1e-4, atol=1e-5)


@given(st.integers(0, 1000), st.floats(0.1, 3))
@settings(deadline=None, max_examples=30)
def test_logit_adjustment_is_cross_entropy_of_logits_with_the_log_shares_added(seed: int, tau: float) -> None:
    logits, y = batch(seed)
    adjusted = logits + tau * (COUNTS / COUNTS.sum()).log()
    loss = build(TrialConfig(loss="cross_entropy", logit_adjustment=tau), COUNTS)
    assert torch.allclose(
        loss(logits, functional.one_hot(y, 3).float()), functional.cross_entropy(adjusted, y), atol=1e-4
    )


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_kl_equals_torch_is_zero_at_its_best_and_has_the_gradient_of_cross_entropy(seed: int) -> None:
    logits, _ = batch(seed)
    targets = torch.rand(6, 3).softmax(1)
    losses = [build(TrialConfig(loss=name), COUNTS) for name in ("kl", "cross_entropy")]
    want = functional.kl_div(logits.log_softmax(1), targets, reduction="batchmean")
    assert torch.allclose(losses[0](logits, targets), want, atol=1e-5)
    assert float(losses[0](targets.log(), targets)) == pytest.approx(0, abs=1e-6)
    slopes = []
    for loss in losses:
        x = logits.clone().requires_grad_()
        loss(x, targets).backward()
        slopes.append(x.grad)
    assert torch.allclose(slopes[0], slopes[1], atol=1e-6)


def test_kl_of_labels_is_cross_entropy() -> None:
    logits, y = batch(3)
    loss = build(TrialConfig(loss="kl"), COUNTS)
    assert torch.allclose(
        loss(logits, functional.one_hot(y, 3).float()), functional.cross_entropy(logits, y), atol=1e-5
    )
