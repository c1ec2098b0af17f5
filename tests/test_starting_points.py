"""The systems that ferhpo starts from: each study file has its system's recipe as default, and trains at its size."""

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from ferhpo._layout import PROBABILITIES
from ferhpo.compare import run as runs
from ferhpo.data.cache import Prepared
from ferhpo.ensemble.build import build
from ferhpo.metrics import metric
from ferhpo.models import registry
from ferhpo.models.names import OWN
from ferhpo.search.budget import limits_of
from ferhpo.space.config import SETTINGS, TrialConfig
from ferhpo.space.space import applies
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.study.find import find_spec, packaged
from ferhpo.study.source import open_data
from ferhpo.study.study import Study
from ferhpo.training.images import Preprocessing
from ferhpo.training.loop import train
from ferhpo.training.precision import Precision
from ferhpo.training.predict import load_model, probabilities
from tests.compare.conftest import searches as searches
from tests.training.conftest import made_up

KERAS: dict[str, Any] = {"optimizer": "adam", "lr": 1e-3, "batch_size": 32, "loss": "cross_entropy", "ema": 0.0}
PLAIN = {**KERAS, "activation": "relu", "schedule": "constant", "weight_decay": 0.0, "augment": 0.0, "image_size": 48}
SAID: dict[str, dict[str, Any]] = {  # epochs, and what the description says or Keras's defaults do
    "ensemble_cnn": {**PLAIN, "arch": "ensemble_cnn", "width": 32, "dropout": 0.2, "epochs": 20, "flip": 0.5}
    | {"vertical_flip": 0.5, "sampling": "oversample"},
    "resnet_affectnet": {**PLAIN, "arch": "resnet18", "width": 64, "image_size": 64, "epochs": 50},
    "shallow": {**PLAIN, "arch": "shallow_cnn", "width": 32, "head": 0},
    "improved": {**PLAIN, "arch": "improved_cnn", "width": 32, "head": 128},
    "deep": {**PLAIN, "arch": "deep_cnn", "width": 32, "head": 128, "dropout": 0.5, "weight_decay": 1e-3},
    "resnet50_frozen": {**KERAS, "arch": "timm:resnet50", "pretrained": True, "frozen": True, "head": 1024}
    | {"activation": "relu", "feature_dropout": 0.0, "image_size": 224, "epochs": 20, "flip": 0.5, "shear": 0.33},
    "cbam": {**KERAS, "arch": "cbam_cnn", "width": 32, "head": 128, "activation": "relu", "image_size": 224}
    | {
        "lr": 1e-5,
        "schedule": "plateau",
        "epochs": 30,
        "rotation": 0.5,
        "shift": 0.4,
        "scale": 0.33,
        "brightness": 0.5,
    },
    "mobilenetv2_finetuned": {**KERAS, "arch": "timm:mobilenetv2_100", "pretrained": True, "frozen": False, "lr": 1e-5}
    | {"head": 128, "activation": "relu", "dropout": 0.5, "feature_dropout": 0.5, "image_size": 224, "epochs": 30}
    | {
        "schedule": "exponential",
        "decay": 0.1,
        "decay_after": 10,
        "patience": 5,
        "patience_metric": "nll",
        "class_weighting": "inverse",
    }
    | {"rotation": 1.0, "shift": 0.8, "scale": 0.67, "shear": 0.38, "flip": 0.5},
    "resnet50_mobilenetv2": {"arch": "timm:resnet50", "pretrained": True, "frozen": False, "image_size": 224},
    "advice": {**PLAIN, "batch_size": 64, "mixup": 0.0, "sampling": "none", "class_weighting": "none", "neck": "none"},
}
# by the arithmetic of tests/models, with 1 channel (3 for AffectNet) and 7 classes
PARAMETERS = {
    "ensemble_cnn": 4_882_919,
    "resnet_affectnet": 11_180_103,
    "shallow": 1_051_015,
    "improved": 683_527,
    "deep": 877_735,
    "resnet50_frozen": 25_607_111,
    "cbam": 433_909,
    "mobilenetv2_finetuned": 2_388_167,
    "resnet50_mobilenetv2": 23_516_103,
    "advice": 683_527,
}
HEAVY = [
    pytest.param(name, marks=pytest.mark.slow)
    if name in {"resnet_affectnet", "resnet50_frozen", "cbam", "mobilenetv2_finetuned", "resnet50_mobilenetv2"}
    else name
    for name in SAID
]


def spec(name: str) -> StudySpec:
    return find_spec(f"starting_points/{name}", Path("nowhere"))


def config(name: str) -> TrialConfig:
    """Return what `ferhpo train` runs, but for weights that would be downloaded."""
    found = spec(name)
    return found.space.default_config().with_params({"epochs": found.budget.epochs, "seed": found.seed})


def small(name: str, folder: Path, **changes: object) -> tuple[TrialConfig, Prepared]:
    """Return the study's net at its true size, to be trained on batches of 2 of made-up images."""
    channels = spec(name).data.channels
    data = made_up(folder, train=7, val=7, size=14, channels=channels, classes=7)
    return config(name).with_params({"pretrained": False, "batch_size": 2, "epochs": 1, **changes}), data


def test_every_study_file_is_one_of_the_systems() -> None:
    assert {p.stem for p in (packaged() / "starting_points").glob("*.toml")} == SAID.keys()


@pytest.mark.parametrize("name", SAID)
def test_the_default_configuration_is_the_systems_recipe(name: str) -> None:
    params = config(name).params()
    assert {key: params[key] for key in SAID[name]} == SAID[name]


@pytest.mark.parametrize("name", SAID)
def test_a_study_file_says_its_source_and_what_was_reported(name: str) -> None:
    found = spec(name)
    assert found.text.startswith("# Source: ")
    assert "\n# Reported: " in found.text
    given = [value for values in found.reported.figures().values() for value in values if value < 100]
    said = found.text.partition("description")[0].replace(",", "")
    assert [f for f in given if f"{f:.4f}" not in said and f"{f:g}" not in said] == [], "the comment says it too"
    assert found.description.startswith(("FER-2013", "AffectNet, else FER-2013"))
    assert max(map(len, found.text.splitlines())) <= 120


@pytest.mark.parametrize("name", SAID)
def test_every_dimension_has_a_say_somewhere_and_every_point_of_the_space_is_a_configuration(name: str) -> None:
    space = spec(name).space
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    asked: set[str] = set()
    for _ in range(60):
        trial = study.ask()
        sampled = space.sample(trial)
        asked |= trial.params.keys()
        assert all(applies(d, sampled.params()) for d in space.dimensions if d.name in trial.params)
    assert asked == {d.name for d in space.dimensions}
    assert asked <= SETTINGS.keys()


@pytest.mark.parametrize("name", SAID)
def test_every_architecture_is_ours_or_a_librarys(name: str) -> None:
    space = spec(name).space
    names = [space.fixed["arch"]] if "arch" in space.fixed else space.dimensions[0].choices
    assert all(arch in OWN or arch.startswith("timm:") for arch in names)


@pytest.mark.parametrize("name", HEAVY)
def test_a_system_trains_a_step_at_its_true_size_with_the_parameters_it_was_described_with(
    name: str, tmp_path: Path
) -> None:
    given, data = small(name, tmp_path, precision="fp32", sampling="none")
    (result,) = train(given, data, metric=metric("accuracy"))
    assert result.details["parameters"] == PARAMETERS[name]
    assert 0 <= result.figures["accuracy"] <= 1
    model = registry.build(given, classes=7, channels=spec(name).data.channels).eval()
    x = torch.rand(2, spec(name).data.channels, given.image_size, given.image_size)
    with torch.inference_mode():
        assert model(x).shape == (2, 7)


@pytest.mark.parametrize("name", ["ensemble_cnn", "shallow", "improved", "deep", "advice"])
def test_a_system_learns_and_its_checkpoint_gives_the_same_probabilities(name: str, tmp_path: Path) -> None:
    data = made_up(tmp_path, train=48, val=24, size=12, classes=3)
    changes = {"image_size": 12, "width": 8, "epochs": 12, "batch_size": 8, "precision": "fp32", "vertical_flip": 0.0}
    given = config(name).with_params(changes)
    *_, last = train(given, data, metric=metric("accuracy"))
    assert last.figures["accuracy"] >= 0.8
    (tmp_path / "epoch").mkdir()
    last.save(tmp_path / "epoch")
    model, card = load_model(tmp_path / "epoch")
    again = probabilities(
        model,
        data.images,
        Preprocessing.from_json(card["preprocessing"]),
        rows=data.part("val").rows,
        device="cpu",
        precision=Precision(format="fp32", channels_last=True),
    )
    assert np.allclose(again, np.load(tmp_path / "epoch" / PROBABILITIES), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["weighted", "majority"])
def test_resnet50_and_mobilenetv2_vote_together(method: str, tmp_path: Path, searches: list[str]) -> None:
    text = spec("resnet50_mobilenetv2").text
    for old, new in {
        "size = 48": 'size = 16\nformat = "synthetic"\nrows = 100',
        "pretrained = true": "pretrained = false",
        "image_size = 224": "image_size = 32",
        "epochs = 10": "epochs = 1",
    }.items():
        assert old in text
        text = text.replace(old, new, 1)
    tiny = parse_spec(text, name="both")
    data = open_data(tiny, tmp_path / ".cache")
    runs.search(tiny, data, tmp_path, emit=lambda _: None, limits=limits_of(tiny))
    assert searches == ["both 0", "both 1"]
    study = Study.open(tmp_path, "both")
    archs = {trial.config.arch for trial in study.candidates() if trial.config}
    assert archs == {"timm:resnet50", "timm:mobilenetv2_100"}
    report = build(study, top=2, method=method, data=data, open_test=True, command="ferhpo ensemble --test")
    assert report.method == method
    assert sum(report.weights) == pytest.approx(1)
    assert report.test is not None
    assert {"weighted", "majority"} <= report.candidates.keys()
