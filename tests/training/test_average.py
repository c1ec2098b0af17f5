from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ferhpo.data.cache import Prepared
from ferhpo.metrics import metric
from ferhpo.models.external import Necked
from ferhpo.space.config import TrialConfig
from ferhpo.training.average import averaged
from ferhpo.training.images import Preprocessing
from ferhpo.training.predict import load_model, probabilities
from ferhpo.training.single import train_single


def trained(config: TrialConfig, data: Prepared, folder: Path) -> Path:
    train_single(config, data, folder, metric=metric("accuracy"))
    return folder


def test_weights_are_the_mean_and_norms_are_those_of_training_images(
    data: Prepared, tiny: TrialConfig, tmp_path: Path
) -> None:
    folders = [trained(tiny.with_params({"lr": lr, "epochs": 1}), data, tmp_path / str(lr)) for lr in (0.01, 0.1)]
    first, second = (load_model(folder)[0].state_dict() for folder in folders)
    model = averaged(folders, data)
    assert not model.training
    for name, weight in model.named_parameters():
        assert torch.allclose(weight, (first[name] + second[name]) / 2, atol=1e-6)
    stem = model.get_submodule("features.0.0")
    norm = model.get_submodule("features.0.1")
    look = Preprocessing.from_json(load_model(folders[0])[1]["preprocessing"])
    rows = torch.from_numpy(data.images[data.part("train").rows]).permute(0, 3, 1, 2)
    with torch.inference_mode():
        seen = stem(look.normalise(look.scaled(rows)))
    assert torch.allclose(norm.running_mean, seen.mean((0, 2, 3)), atol=1e-5)  # pyright: ignore[reportArgumentType]
    assert norm.momentum == 0.1
    assert all(w.requires_grad for w in model.parameters())


def test_the_mean_of_twins_is_as_good_as_each(data: Prepared, tiny: TrialConfig, tmp_path: Path) -> None:
    folder = trained(tiny, data, tmp_path / "one")
    model, card = load_model(folder)
    look, val = Preprocessing.from_json(card["preprocessing"]), data.part("val")
    twins = averaged([folder, folder], data)
    alone, both = (probabilities(m, data.images, look, rows=val.rows).argmax(1) == val.labels for m in (model, twins))
    assert both.mean() >= alone.mean()


def test_norms_are_those_of_all_classes_where_rows_lie_by_class(
    data: Prepared, tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ferhpo.training.average.BATCH", 16)
    folder = trained(tiny.with_params({"epochs": 1}), data, tmp_path / "one")
    order = np.argsort(data.labels, kind="stable")
    images = (data.images[order] // 8 + 30 * data.labels[order, None, None, None]).astype(np.uint8)  # bright and dark
    by_class = replace(data, images=images, labels=data.labels[order], split=data.split[order])
    model = averaged([folder, folder], by_class)
    look = Preprocessing.from_json(load_model(folder)[1]["preprocessing"])
    rows = torch.from_numpy(images[by_class.part("train").rows]).permute(0, 3, 1, 2)
    with torch.inference_mode():
        seen = model.get_submodule("features.0.0")(look.normalise(look.scaled(rows)))
    assert torch.allclose(model.get_buffer("features.0.1.running_var"), seen.var((0, 2, 3)), rtol=0.1)


def frozen_net(config: TrialConfig, classes: int, channels: int) -> nn.Module:
    """Return a base whose norm's statistics are not those of the images, a neck with a norm, and a classifier."""
    base = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4))
    nn.init.constant_(base.get_buffer("1.running_mean"), 0.5)
    neck = Necked(nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)), nn.AdaptiveAvgPool2d(1))
    return nn.Sequential(base, neck, nn.Flatten(), nn.Linear(4, classes))


@pytest.mark.parametrize("frozen", [True, False])
def test_norms_of_a_base_that_was_frozen_stay_as_they_are(
    data: Prepared, tiny: TrialConfig, tmp_path: Path, frozen: bool
) -> None:
    config = tiny.with_params({"arch": f"python:{__name__}:frozen_net", "pretrained": True, "frozen": frozen})
    folders = [trained(config.with_params({"lr": lr, "epochs": 1}), data, tmp_path / str(lr)) for lr in (0.01, 0.1)]
    first, second = (load_model(folder)[0] for folder in folders)
    model = averaged(folders, data)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        base, mine = first.get_buffer(f"0.1.{name}"), model.get_buffer(f"0.1.{name}")
        assert torch.equal(mine, base) == frozen
    neck = [m.get_buffer("1.0.1.running_mean") for m in (model, first, second)]
    assert not torch.allclose(neck[0], (neck[1] + neck[2]) / 2)
    assert not model.training
    assert all(w.requires_grad for w in model.parameters())
