from pathlib import Path

from ferhpo import _layout
from ferhpo.data.cache import Prepared
from ferhpo.metrics import metric
from ferhpo.space.config import TrialConfig
from ferhpo.training.result import EpochResult
from ferhpo.training.single import train_single


def test_every_epoch_leaves_its_checkpoint_and_nothing_to_go_on_with(
    tmp_path: Path, data: Prepared, tiny: TrialConfig
) -> None:
    left: list[set[str]] = []

    def watch(_: EpochResult) -> None:
        left.append({path.name for path in (tmp_path / "out").iterdir()})

    config = tiny.with_params({"epochs": 2})
    result, seconds = train_single(config, data, tmp_path / "out", metric=metric("accuracy"), watch=watch)
    assert left == [{_layout.WEIGHTS, _layout.CARD, _layout.PROBABILITIES}] * 2
    assert (result.epoch, result.done) == (2, True)
    assert seconds >= result.seconds
