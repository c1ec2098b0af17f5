import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ferhpo.data.cache import Prepared
from ferhpo.errors import TrainingError
from ferhpo.metrics import metric
from ferhpo.space.config import TrialConfig
from ferhpo.training import optim
from ferhpo.training.guard import Losses, device_is_lost, halved, out_of_memory, seeded, threads
from ferhpo.training.loop import train


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


def test_on_a_gpu_a_loss_is_looked_at_at_once_where_it_is_waited_for() -> None:
    losses = Losses(1, "cuda", None)
    losses.add(torch.tensor(1.0), 0.1)
    assert losses.last is None
    losses.add(torch.tensor(3.0), 0.1, wait=True)
    assert losses.last == 3


def test_where_a_training_is_names_the_last_step_that_was_looked_at() -> None:
    losses = Losses(3, "cpu", None)
    for value, lr in ((1.25, 0.1), (1.5, 0.2)):
        losses.add(torch.tensor(value), lr)
    assert losses.where == "epoch 3, step 2, lr 0.2 (last finite loss: 1.5)"


def test_a_block_has_its_threads_and_gives_the_others_back() -> None:
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


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


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you ..."),
            True,
        ),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not create a primitive descriptor for a matmul primitive"), False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), True),
        (RuntimeError("FIND was unable to find an engine to execute this computation"), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_memory_that_does_not_suffice_is_told_from_other_errors(error: Exception, memory: bool) -> None:
    assert out_of_memory(error) == memory


def test_a_lost_device_is_told_from_memory_that_does_not_suffice() -> None:
    said = [
        "CUDA error: an illegal memory access was encountered",
        "Triton Error [CUDA]: an illegal memory access was encountered",
        "CUDA error: out of memory",
        "mat1 and mat2 shapes cannot be multiplied",
    ]
    assert [device_is_lost(RuntimeError(text)) for text in said] == [True, True, False, False]


def test_a_batch_is_halved_until_memory_suffices_and_for_no_other_error() -> None:
    tried = []

    def compute(batch: int) -> str:
        tried.append(batch)
        if batch > 5:
            raise MemoryError
        return "found"

    assert halved(compute, 24, "cpu") == ("found", 3)
    assert tried == [24, 12, 6, 3]
    with pytest.raises(ZeroDivisionError):
        halved(lambda _: 1 // 0, 24, "cpu")


TRAINING = """
import sys
from pathlib import Path
import numpy as np
from ferhpo.data.cache import Prepared
from ferhpo.metrics import metric
from ferhpo.space.config import TrialConfig
from ferhpo.training import cost
from ferhpo.training.loop import train

rows, steps, val_rows = 28709, 5, 512  # all images are there, a few are trained on: a step's memory is every step's
rng = np.random.default_rng(0)
split = np.full(rows, -1, np.int8)
split[:steps * 256], split[-val_rows:] = 0, 1
data = Prepared(
    folder=Path(sys.argv[1]) / "key", format="synthetic", source=None, classes=tuple("abcdefg"), fingerprint="f" * 64,
    mean=(0.5,), std=(0.25,), counts={}, dropped={}, images=rng.integers(0, 256, (rows, 48, 48, 1), np.uint8),
    labels=np.arange(rows) % 7, split=split,
    group=np.arange(rows, dtype=np.int32),
)
config = TrialConfig(batch_size=256, patience=2, epochs=2)
list(train(config, data, metric=metric("accuracy")))
print(cost.peak_mib("cpu") / 1024)
"""


@pytest.mark.slow  # trains the default net
def test_a_training_at_batch_256_stays_below_two_and_a_half_gib(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", TRAINING, str(tmp_path)], capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 2.5


# --- in a training


def test_memory_that_does_not_suffice_is_said_with_what_to_do(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(optim, "set_lr", full)
    with pytest.raises(
        TrainingError, match=r"memory of cpu, a batch of 16 did not, nor half of it at a time \(.*\); set a small"
    ):
        next(train(tiny, data, metric=metric("accuracy")))
