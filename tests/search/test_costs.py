import json
from pathlib import Path
from types import SimpleNamespace

import fakes
import numpy as np
import pytest

from ferhpo.search import costs
from ferhpo.space.config import TrialConfig
from ferhpo.training import cost

CONFIG = TrialConfig(arch="resnet9s", width=4, image_size=16)


@pytest.fixture(autouse=True)
def images(monkeypatch: pytest.MonkeyPatch) -> None:
    found = SimpleNamespace(images=np.zeros((1, 16, 16, 1), np.uint8), classes=("a", "b", "c"))
    monkeypatch.setattr("ferhpo.data.cache.open_prepared", lambda _: found)


def test_a_net_is_timed_once_and_nothing_is_measured_that_nobody_asks_for(
    tmp_path: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.folder.mkdir()
    both = fakes.job(tmp_path, data, fakes.spec(head='constraints = ["latency_ms <= 5", "params <= 1e9"]\n'))
    first = costs.of_net(CONFIG, both)
    assert first["params"] == cost.parameters(cost.untrained(CONFIG, classes=3, channels=1))
    assert first["latency_threads"] == 1
    monkeypatch.setattr(cost, "latency_ms", lambda *_, **__: pytest.fail("timed twice"))
    assert costs.of_net(CONFIG.with_params({"lr": 0.5}), both) == first
    assert list(json.loads((data.folder.parent / costs.FILE).read_text()).values()) == [first["latency_ms"]]
    assert costs.of_net(CONFIG, fakes.job(tmp_path, data)) == {}


def test_a_net_that_filters_its_images_is_timed_for_itself(
    tmp_path: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.folder.mkdir()
    asked = fakes.job(tmp_path, data, fakes.spec(head='constraints = ["latency_ms <= 5"]\n'))
    times = iter([1.0, 2.0, 3.0])
    monkeypatch.setattr(cost, "latency_ms", lambda *_, **__: next(times))
    nets = [CONFIG, CONFIG.with_params({"denoise": "median"}), CONFIG, CONFIG.with_params({"denoise": "gaussian"})]
    assert [costs.of_net(net, asked)["latency_ms"] for net in nets] == [1.0, 2.0, 1.0, 3.0]


def test_memory_is_told_only_where_it_is_asked_for(tmp_path: Path, data: fakes.FakeData) -> None:
    asked = fakes.job(tmp_path, data, fakes.spec(head='constraints = ["memory_mib <= 5000"]\n'))
    costs.begin(asked)
    assert costs.of_training(asked)["memory_mib"] > 10
    assert costs.of_training(fakes.job(tmp_path, data)) == {}
