"""Every benchmark script: it still starts, and what it computes beside measuring is right."""

import importlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from ferhpo.data.cache import prepare
from ferhpo.space.config import TrialConfig
from ferhpo.space.spec import DataSpec, read_spec
from ferhpo.training import losses

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what imports a benchmark script."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def test_the_plain_search_has_the_space_of_the_study_file(load: Any) -> None:
    plain, spec = load("plain_search"), read_spec(BENCHMARKS.parent / "studies" / "fer2013.toml")
    asked: dict[str, Any] = {}
    for loss in ("cross_entropy", "label_smoothing", "focal"):
        trial = optuna.trial.FixedTrial({d.name: d.default for d in spec.space.dimensions} | {"loss": loss})
        plain.space(trial)
        assert trial.params.keys() == spec.space.point({"loss": loss}).keys()
        asked |= trial.distributions
    assert asked == {d.name: d.distribution() for d in spec.space.dimensions}
    assert (spec.budget.epochs, spec.scheduler.grace) == (plain.EPOCHS, plain.GRACE)
    assert spec.scheduler.reduction == plain.REDUCTION


def test_the_plain_search_computes_the_losses_of_ferhpo(load: Any) -> None:
    plain = load("plain_search")
    logits, labels = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 2, 1, 0])
    for loss in ({"loss": "cross_entropy"}, {"loss": "label_smoothing", "smoothing": 0.1}, {"loss": "focal"}):
        config = {"focal_gamma": 1.5} | loss
        ours = losses.build(TrialConfig.from_params(config), torch.full((3,), 2))(logits, torch.eye(3)[labels])
        torch.testing.assert_close(plain.loss_of(config, logits, labels), ours)


def test_the_plain_search_trains_a_configuration_with_the_usual_loop(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray import tune

    plain, versus = load("plain_search"), load("vs_ray_optuna")
    faces = prepare(DataSpec(format="synthetic", rows=100), None, tmp_path)
    versus.write_folders(faces, tmp_path / "folders")
    reported: list[dict[str, float]] = []
    monkeypatch.setattr(tune, "report", reported.append)
    monkeypatch.setattr(plain, "EPOCHS", 1)
    config = read_spec(versus.STUDY).space.defaults() | {"width": 4}
    plain.train(config, tmp_path / "folders")
    assert [0 <= r["accuracy"] <= 1 for r in reported] == [True]


def test_a_side_is_judged_by_what_it_had_when_time_was_up(load: Any, tmp_path: Path) -> None:
    versus, log = load("vs_ray_optuna"), tmp_path / "log"
    note = partial(versus.append, log)
    note({"trial": 0, "value": 0.3})
    note({"trial": 0, "value": 0.5})
    note({"trial": 0})
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    until = rows[-1]["at"]
    late = {"at": until + 1, "trial": 1, "value": 0.9}
    assert versus.figures([*rows, late], until) == {"best_val": 0.5, "trials": 1, "epochs": 2}
    assert versus.figures([], until) == {"best_val": 0.0, "trials": 0, "epochs": 0}


def test_the_table_sets_ferhpo_beside_each_other_side(load: Any) -> None:
    made = {"best_val": 0.5, "trials": 2, "epochs": 10, "seconds": 60.0}
    runs = {"ferhpo/0": made, "ferhpo/1": made | {"best_val": 0.7, "epochs": 30}, "plain/0": made}
    found = load("vs_ray_optuna").table(runs)
    assert found["ferhpo"] == {"best_val": 0.6, "trials": 2, "epochs": 20, "seconds": 60.0, "n": 2}
    assert found["plain"]["ferhpo_better_by"] == pytest.approx(0.1)
    assert found["plain"]["ferhpo_epochs_ratio"] == 2
