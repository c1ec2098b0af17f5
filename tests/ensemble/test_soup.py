from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from safetensors.numpy import load_file

from ferhpo._layout import WEIGHTS
from ferhpo.data.cache import Prepared
from ferhpo.ensemble import infer, members, soup
from ferhpo.ensemble.build import build
from ferhpo.ensemble.infer import Ensemble
from ferhpo.errors import UsageError
from ferhpo.metrics import figures, metric
from ferhpo.space.config import TrialConfig
from ferhpo.training.single import train_single
from tests.training.conftest import made_up


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return made_up(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def kin(data: Prepared) -> members.Members:
    """Return three members from one seed, which differ in how far they were trained, and one from another seed."""
    import json

    folders = []
    for m, changes in enumerate(({"epochs": 8}, {"epochs": 9}, {"epochs": 1, "lr": 1e-6}, {"seed": 1})):
        settings = {"width": 4, "image_size": 8, "batch_size": 25, "lr": 0.05, "augment": 0.0, "ema": 0.0, "epochs": 1}
        config = TrialConfig.from_params(settings | {"precision": "fp32", "dropout": 0.0} | changes)
        folders.append(data.folder.parent / f"trial-{m}")
        train_single(config, data, folders[-1], metric=metric("nll"))
    val = data.part("val")
    return members.Members(
        numbers=(5, 6, 7, 8),
        folders=tuple(folders),
        cards=tuple(json.loads((folder / "model.json").read_text()) for folder in folders),
        latencies=(1.0, 2.0, 3.0, 4.0),
        probs_mnc=np.stack([np.load(folder / "val_probs.npy") for folder in folders]).astype(float),
        y_n=val.labels,
        groups_n=val.groups,
        classes=data.classes,
    )


@pytest.mark.parametrize(
    ("sure", "taken"),
    [((0.6, 0.5), [5, 6]), ((0.4, 0.5), [5, 7]), ((0.5, 0.6), [5, 6, 7]), ((0.4, 0.4), None)],
)
def test_an_ingredient_stays_if_the_metric_does_not_fall(
    kin: members.Members,
    data: Prepared,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sure: tuple[float, float],
    taken: list[int] | None,
) -> None:
    def says(label: float) -> np.ndarray:
        return np.where(np.eye(3)[kin.y_n] > 0, label, (1 - label) / 2)

    said = iter(sure)
    monkeypatch.setattr(infer, "forward", lambda *_: says(next(said)))
    half = replace(kin, probs_mnc=np.stack([says(0.5)] * 4))
    found, note = soup.add(half, data, "nll", tmp_path / "soup")
    if taken is None:
        assert (found, note) == (half, "no mean of weights is as good as trial 5 alone: there is no soup")
        assert not (tmp_path / "soup").exists()
        return
    assert found.numbers == (5, 6, 7, 8, soup.NUMBER)
    assert found.cards[-1]["provenance"]["soup"] == taken
    assert np.array_equal(found.probs_mnc[-1], says(max(sure)))
    assert found.cards[-1]["figures"] == figures(says(max(sure)), kin.y_n)


def test_a_soup_is_a_checkpoint_of_the_mean_weights(kin: members.Members, data: Prepared, tmp_path: Path) -> None:
    twins = replace(kin.only([0, 2]), probs_mnc=np.stack([np.full_like(kin.probs_mnc[0], 1 / 3)] * 2))
    found, said = soup.add(twins, data, "nll", tmp_path / "soup", device="cpu")
    assert said.startswith("member -1 is a soup, the mean weights of trials 5 7, chosen on all validation rows")
    members.check_weights(found)
    first, second, mean = (load_file(folder / WEIGHTS) for folder in found.folders)
    for name in ("classifier.weight", "features.0.0.weight"):
        assert np.allclose(mean[name], (first[name] + second[name]) / 2, atol=1e-6)
    running = [name for name in mean if name.endswith("running_var")]
    assert any(not np.allclose(mean[name], (first[name] + second[name]) / 2, rtol=1e-3) for name in running)
    said_nc = Ensemble.load(found.folders[-1]).probabilities(data.images[data.part("val").rows])
    assert np.allclose(said_nc, found.probs_mnc[-1], atol=1e-5)
    assert found.latencies[-1] == 1.0


def test_members_that_began_differently_are_refused(kin: members.Members, data: Prepared, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a soup takes members that share architecture and start"):
        soup.add(kin.only([0, 3]), data, "nll", tmp_path / "soup")
    assert not (tmp_path / "soup").exists()


def test_a_start_is_the_weights_or_the_seed(kin: members.Members) -> None:
    def card(**changes: Any) -> dict[str, Any]:
        return {"config": {**kin.cards[0]["config"], **changes}}

    pretrained = {"arch": "timm:resnet18", "pretrained": True}
    assert soup.start(card(lr=0.1)) == soup.start(card(lr=0.2))
    assert soup.start(card(seed=1)) != soup.start(card(seed=2))
    assert soup.start(card(**pretrained, seed=1)) == soup.start(card(**pretrained, seed=2))
    assert soup.start(card(**pretrained, weights="a")) != soup.start(card(**pretrained, weights="b"))
    for change in ({"image_size": 64}, {"neck": "cbam"}, {"head": 16}, {"activation": "silu"}, {"denoise": "median"}):
        assert soup.start(card()) != soup.start(card(**change))
    assert soup.start({}) is None


def test_only_members_like_the_best_that_has_any_are_taken(kin: members.Members) -> None:
    assert soup.alike(kin) == [0, 1, 2]
    assert soup.alike(kin.only([3, 1, 2])) == [1, 2]


def test_an_ensemble_says_what_became_of_its_soup(fake: Any, made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    study, data = fake(*made(3, 60)), cast(Any, SimpleNamespace(fingerprint="f00d"))
    with pytest.raises(UsageError, match="none of the 3 do; search with pretrained = true, or leave --soup out"):
        build(study, top=3, soup=True, data=data, command="")
    with pytest.raises(UsageError, match="--soup needs the study's images"):
        build(study, top=3, soup=True, command="")
    monkeypatch.setattr(soup, "add", lambda found, *_, **__: (found, "there is no soup"))
    assert "there is no soup" in build(study, top=3, soup=True, data=data, command="").notes
