import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from ferhpo.training import eager

TRAINING = """
import sys
from pathlib import Path

from conftest import made_up

from ferhpo.metrics import metric
from ferhpo.space.config import OPTIMIZERS, TrialConfig
from ferhpo.training.loop import train

for name in OPTIMIZERS:
    config = TrialConfig(optimizer=name, width=4, image_size=8, batch_size=8, epochs=1, ema=0.9, clip=1.0)
    list(train(config, made_up(Path(sys.argv[1])), metric=metric("accuracy")))
sys.exit("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
@pytest.mark.parametrize("fused", [True, False])
def test_a_step_is_that_of_torch_to_the_bit(name: str, fused: bool) -> None:
    def trained(kind: type[torch.optim.Optimizer], **more: object) -> list[torch.Tensor]:
        torch.manual_seed(0)
        net = nn.Linear(5, 3)
        optimizer = kind(net.parameters(), lr=0.1, fused=fused, weight_decay=0.01, **more)  # pyright: ignore[reportCallIssue]
        for _ in range(3):
            net(torch.rand(4, 5)).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        assert net.weight.requires_grad
        assert net.weight.grad is None
        return list(net.parameters())

    more = {"momentum": 0.9, "nesterov": True} if name == "SGD" else {}
    ours, theirs = trained(getattr(eager, name), **more), trained(getattr(torch.optim, name), **more)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_training_does_not_load_the_compiler(tmp_path: Path) -> None:
    training = [sys.executable, "-c", TRAINING, str(tmp_path)]
    assert subprocess.run(training, cwd=Path(__file__).parent, check=False).returncode == 0
