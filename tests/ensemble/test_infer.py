from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from ferhpo._atomic import new_folder
from ferhpo._layout import PROBABILITIES
from ferhpo.ensemble import infer, members
from ferhpo.ensemble.build import build
from ferhpo.ensemble.cost import Limits
from ferhpo.errors import CheckpointError, DataError, UsageError
from ferhpo.metrics import nll

GREY = {"stored_size": 16, "channels": 1}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(40, 16, 16, 1), dtype=np.uint8)


@pytest.fixture
def study(fake: Any, made: Any, images: np.ndarray) -> Any:
    """A study of three real, untrained nets, their checkpoints written as a training writes them."""
    import torch

    from ferhpo.models import registry
    from ferhpo.space.config import TrialConfig
    from ferhpo.training import checkpoint
    from ferhpo.training.images import Preprocessing
    from ferhpo.training.predict import probabilities

    probs, y = made(3, 30)
    study = fake(probs, y)
    config = TrialConfig(width=4, image_size=16)
    look = Preprocessing(stored_size=16, image_size=16, channels=1, mean=(0.5,), std=(0.25,), mirror=True)
    for trial in study.trials:
        torch.manual_seed(trial.number)
        model = registry.build(config, classes=7, channels=1)
        card = {
            "config": config.params(),
            "classes": study.data["classes"],
            "preprocessing": look.to_json(),
            "epoch": 1,
            "figures": {},
            "parameters": 1,
            "precision": {"format": "fp32", "channels_last": True, "why": "as configured"},
            "provenance": {"fingerprint": "f00d", "split": "5eed"},
        }
        with new_folder(trial.checkpoint) as folder:
            probs_nc = probabilities(model, images, look, rows=np.arange(30))
            checkpoint.write(folder, model.state_dict(), card, probs_nc)
    return study


def test_an_ensemble_repeats_what_its_members_said(study: Any, images: np.ndarray, tmp_path: Path) -> None:
    report = build(study, top=3, method="logistic", command="")
    moved = report.folder.rename(tmp_path / "elsewhere")
    ensemble = infer.Ensemble.load(moved)
    got = ensemble.predict_proba(images[:30])
    cached = np.stack([np.load(t.checkpoint / PROBABILITIES) for t in study.trials])
    assert np.allclose(got, ensemble.combination.predict(cached.astype(np.float64)), atol=1e-5)
    assert got.dtype == np.float64
    assert ensemble.classes == tuple(study.data["classes"])
    assert ensemble.preprocessing == GREY


def test_the_opened_split_is_scored_on_its_rows(study: Any, images: np.ndarray) -> None:
    part = SimpleNamespace(images=images, rows=np.arange(30, 40), labels=np.arange(10) % 7, groups=np.arange(10))
    data: Any = SimpleNamespace(
        fingerprint="f00d",
        counts={"test": {"class0": 10}},
        open_test=lambda: part,
        images=images,
        split=np.repeat([0, 2], [30, 10]),
    )
    report = build(study, top=3, method="uniform", data=data, open_test=True, command="")
    assert report.test is not None
    assert report.test.n == 10
    got = infer.Ensemble.load(report.folder).predict_proba(images[30:])
    assert (got.argmax(1) == part.labels).mean() == report.test.ensemble["accuracy"]


def test_a_damaged_member_is_named(study: Any) -> None:
    folder = build(study, top=2, command="").folder
    path = folder / "members" / "0001" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=str(path)):
        infer.Ensemble.load(folder)


@pytest.fixture
def ensemble(study: Any) -> infer.Ensemble:
    return infer.Ensemble.load(build(study, top=3, method="uniform", command="").folder)


def test_it_keeps_scikit_learns_conventions(ensemble: infer.Ensemble, images: np.ndarray) -> None:
    from sklearn.base import clone, is_classifier
    from sklearn.utils.validation import check_is_fitted

    probs_nc = ensemble.predict_proba(images)
    assert is_classifier(ensemble)
    check_is_fitted(ensemble)
    assert clone(ensemble) is ensemble
    assert ensemble.classes_.tolist() == list(ensemble.classes)
    assert (ensemble.predict(images) == ensemble.classes_[probs_nc.argmax(1)]).all()
    assert ensemble.score(images, ensemble.predict(images)) == 1
    other = np.roll(ensemble.classes_, 1)[probs_nc.argmax(1)]
    assert ensemble.score(images, other) == 0
    assert ensemble.predict_proba(images[:0]).shape == (0, 7)
    with pytest.raises(UsageError, match=r"wrap it in sklearn\.frozen\.FrozenEstimator"):
        ensemble.fit(images, other)


def test_it_is_scored_by_names_that_are_numbers(ensemble: infer.Ensemble, images: np.ndarray) -> None:
    ensemble = replace(ensemble, classes=tuple("0123456"))
    right = ensemble.predict(images).astype(int)
    assert ensemble.score(images, right) == 1
    assert ensemble.score(images, (right + 1) % 7) == 0
    assert ensemble.score(images, np.where(np.arange(40) < 10, 99, right)) == 0.75, "a class it lacks is wrong"


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["class0"], r"y must be one class name an image, 40 in all, got shape \(1,\)"),
        ("class0", r"got shape \(\)"),
        (np.full((40, 1), "class0"), r"got shape \(40, 1\)"),
        (np.zeros(40), r"y must hold names of the ensemble's classes, got '0\.0'; known: class0, class1"),
        (np.zeros(40, int), "got '0'; known: class0"),
        (["Class1"] * 40, "got 'Class1'; did you mean 'class1'"),
    ],
)
def test_what_is_no_class_name_an_image_is_refused(
    ensemble: infer.Ensemble, images: np.ndarray, y: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        ensemble.score(images, y)


def test_it_works_inside_scikit_learns_tools(ensemble: infer.Ensemble, images: np.ndarray) -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator
    from sklearn.inspection import permutation_importance
    from sklearn.metrics import get_scorer

    flat = images.reshape(len(images), -1)
    y = ensemble.classes_[np.arange(len(images)) % 7]
    calibrated: Any = CalibratedClassifierCV(FrozenEstimator(ensemble), method="temperature").fit(flat, y)
    assert calibrated.classes_.tolist() == list(ensemble.classes)
    assert np.allclose(calibrated.predict_proba(flat).sum(1), 1)
    assert get_scorer("neg_log_loss")(ensemble, flat, y) < 0
    important = cast(Any, permutation_importance(cast(Any, ensemble), flat[:2], y[:2], n_repeats=1, max_samples=1))
    assert important.importances.shape == (256, 1)


def test_scikit_learns_tools_pair_classes_that_are_not_sorted_with_their_columns(
    ensemble: infer.Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator
    from sklearn.metrics import get_scorer

    names = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    places = np.arange(210) % 7
    said = np.where(np.arange(210) % 20 == 0, (places + 1) % 7, places)  # right on 95 % of them
    monkeypatch.setattr(infer.Ensemble, "probabilities", lambda _, rows: np.eye(7)[rows[:, 0]] * 0.9 + 0.1 / 7)
    ensemble, rows, y = replace(ensemble, classes=names), said[:, None], np.array(names)[places]
    assert ensemble.classes_.tolist() == sorted(names)
    assert (ensemble.classes_[ensemble.predict_proba(rows).argmax(1)] == np.array(names)[said]).all()
    right = ensemble.score(rows, y)
    assert right == (said == places).mean()
    assert CalibratedClassifierCV(FrozenEstimator(ensemble), method="temperature").fit(rows, y).score(rows, y) == right
    assert get_scorer("neg_log_loss")(ensemble, rows, y) == pytest.approx(-nll(ensemble.probabilities(rows), places))
    assert get_scorer("roc_auc_ovr")(ensemble, rows, y) > 0.95


def test_the_package_offers_it_and_nothing_else(ensemble: infer.Ensemble) -> None:
    import ferhpo

    assert ferhpo.Ensemble is infer.Ensemble
    with pytest.raises(AttributeError, match="no attribute 'Ensembel'"):
        getattr(ferhpo, "Ensem" + "bel")


def test_views_are_what_their_names_say() -> None:
    from ferhpo.training.images import Preprocessing

    plain = Preprocessing(stored_size=8, image_size=8, channels=1, mean=(0.5,), std=(0.2,), mirror=False)
    mirrored = replace(plain, mirror=True)
    one, both = ((False, 0, 0),), ((False, 0, 0), (True, 0, 0))
    assert (infer.views("own", plain), infer.views("own", mirrored)) == (one, both)
    assert (infer.views("none", mirrored), infer.views("flip", plain)) == (one, both)
    assert infer.views("shift", plain) == ((False, 0, 0), (False, -2, -2), (False, 2, 2))
    assert len(infer.views("shift", mirrored)) == 6
    with pytest.raises(UsageError, match="did you mean 'shift'"):
        infer.views("shifts", plain)


def test_other_views_are_computed_once_and_go_into_the_artifact(
    study: Any, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = SimpleNamespace(images=images, rows=np.arange(30), labels=study.labels)
    data: Any = SimpleNamespace(fingerprint="f00d", folder="", part=lambda name: {"val": part}[name])
    members.measured(members.load(study, 3), lambda _: 1.0)  # of its own views
    report = build(study, top=3, method="uniform", data=data, tta="shift", command="")
    assert report.costs["latency_ms"] is None
    ensemble = infer.Ensemble.load(report.folder)
    assert ensemble.tta == "shift"
    said = ensemble.member_probabilities(images[:30])
    of = {trial.number: trial for trial in study.trials}
    for number, probs_nc in zip(report.numbers, said, strict=True):
        (kept,) = of[number].checkpoint.glob("val_probs-shift-*.npy")
        assert np.allclose(np.load(kept), probs_nc, atol=1e-6)
    assert (ensemble.predict(images[:30]) == ensemble.classes_[study.labels]).mean() == report.val["accuracy"]
    monkeypatch.setattr(infer, "member_probabilities", lambda *_: pytest.fail("computed twice"))
    assert build(study, top=3, method="uniform", data=data, tta="shift", command="").val == report.val
    assert build(study, top=3, method="uniform", data=data, tta="flip", command="").val["nll"] != report.val["nll"]


def test_other_views_need_the_studys_images(study: Any, images: np.ndarray) -> None:
    with pytest.raises(UsageError, match="--tta needs the study's images"):
        build(study, top=3, tta="shift", command="")
    part = SimpleNamespace(images=images, rows=np.arange(29), labels=study.labels[:29])
    data: Any = SimpleNamespace(fingerprint="f00d", folder="here", part=lambda name: part)
    with pytest.raises(DataError, match="--tta shift needs the study's validation rows, here has others"):
        build(study, top=3, data=data, tta="shift", command="")


def test_a_latency_limit_is_kept_by_what_is_measured(study: Any) -> None:
    assert infer.latency_ms(study.trials[0].checkpoint, runs=3) > 0
    latencies = iter((5.0, 2.0, 2.0))
    members.measured(members.load(study, 3), lambda _: next(latencies))
    report = build(study, top=3, method="uniform", limits=Limits(latency_ms=4.5), command="")
    assert report.numbers == (study.trials[1].number, study.trials[2].number)
    assert report.costs["latency_ms"] == 4


def test_a_latency_is_of_the_views_that_are_averaged(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infer, "viewed", lambda found, *_: replace(found, latencies=(None,) * 3))
    monkeypatch.setattr(infer, "latency_ms", lambda folder, tta="own": {"own": 1.0, "shift": 3.0}[tta])
    data: Any = SimpleNamespace(fingerprint="f00d")
    report = build(study, top=3, method="uniform", limits=Limits(latency_ms=7), data=data, tta="shift", command="")
    assert report.costs["latency_ms"] == 6
    assert not any((t.checkpoint / members.LATENCY).exists() for t in study.trials), "what is kept is of own views"
