import pytest
import torch

from ferhpo.errors import TrainingError
from ferhpo.training.guard import Losses, seeded


def test_a_loss_that_is_not_finite_ends_the_training_with_where_and_what_was_last() -> None:
    losses = Losses(3, "cpu", None)
    losses.add(torch.tensor(1.25), 0.1)
    with pytest.raises(TrainingError, match=r"got nan at epoch 3, step 2, lr 0.2 \(last finite loss: 1.25\)"):
        losses.add(torch.tensor(float("nan")), 0.2)


def test_on_a_gpu_losses_are_looked_at_now_and_then_and_name_the_step_all_the_same() -> None:
    losses = Losses(1, "cuda", 2.0)
    for value in (1.0, 3.0, float("inf"), 1.0):
        losses.add(torch.tensor(value), 0.1)
    with pytest.raises(TrainingError, match=r"got inf at epoch 1, step 3, lr 0.1 \(last finite loss: 3\)"):
        losses.mean()


def test_the_mean_is_over_all_steps() -> None:
    losses = Losses(1, "cpu", None)
    for value in (1.0, 2.0, 6.0):
        losses.add(torch.tensor(value), 0.1)
    assert losses.mean() == 3


def test_a_seeded_block_repeats_itself_and_leaves_the_generators_alone() -> None:
    torch.manual_seed(5)
    want = torch.rand(3)
    torch.manual_seed(5)
    with seeded(1, "cpu"):
        a = torch.rand(3)
    assert torch.equal(torch.rand(3), want)
    with seeded(1, "cpu"):
        assert torch.equal(torch.rand(3), a)
