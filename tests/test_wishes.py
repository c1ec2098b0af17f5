"""What the starting points' authors wished for: each is a few lines of a study file, and learns."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fakes
import numpy as np
import pytest
import torch

from ferhpo.data.cache import Prepared
from ferhpo.metrics import metric
from ferhpo.search.budget import Limits
from ferhpo.search.session import Session
from ferhpo.space.config import TrialConfig
from ferhpo.space.spec import parse_spec
from ferhpo.study.writer import StudyWriter
from ferhpo.training.loop import train
from ferhpo.training.result import EpochResult
from tests.conftest import open_writer, run_session
from tests.training.conftest import made_up

WISHES = {
    "focal loss": 'loss = "focal"\nfocal_gamma = 2.0',
    "AdamW": 'optimizer = "adamw"\nlr = 0.01',
    "ViT": 'arch = "timm:test_vit"\npatch_size = 4\noptimizer = "adamw"\nlr = 0.003',
    "ConvNeXt": 'arch = "timm:test_convnext"\npatch_size = 2\nimage_size = 32\noptimizer = "adamw"\nlr = 0.005',
    "hybrid attention": 'arch = "timm:mobilenetv2_035"\nneck = "cbam"\nimage_size = 48\n'
    'optimizer = "adamw"\nlr = 0.005',
    "self-attention inside a CNN": 'neck = "self_attention"\noptimizer = "adamw"\nlr = 0.01',
    "LSTM over the rows of the map": 'neck = "lstm"\noptimizer = "adamw"\nlr = 0.01',
    "occlusion": "cutout = 0.3\nmask = 0.3\nglasses = 0.3",
    "adversarial training": 'adversarial = "pgd"\nadversarial_steps = 2',
    "noise reduction, gaussian": 'denoise = "gaussian"',
    "noise reduction, median": 'denoise = "median"',
    "synthetic minority samples": 'sampling = "smote"',
}
BASE = {"arch": "resnet9s", "width": 8, "image_size": 16, "batch_size": 8, "lr": 0.05, "dropout": 0.0, "augment": 0.0}
BASE |= {"ema": 0.0, "precision": "fp32"}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def config(space: str, epochs: int, data: str = "") -> TrialConfig:
    """Return the default trial of a study file, with `BASE` where the file says nothing."""
    found = parse_spec(f"[data]\nsize = 16\n{data}\n[space]\n{space}", name="wish").space
    given = {name: value for name, value in BASE.items() if name not in found.fixed}
    return found.default_config().with_params({**given, "epochs": epochs})


def last(config: TrialConfig, data: Prepared) -> EpochResult:
    *_, result = train(config, data, metric=metric("accuracy"))
    return result


def striped(folder: Path) -> Prepared:
    """Return images of three classes: stripes across, stripes down, none."""
    data = made_up(folder, train=48, val=24, size=16)
    bright = np.broadcast_to(np.arange(16) // 2 % 2 * 120, (16, 16))
    noise = np.random.default_rng(0).integers(0, 90, data.images.shape)
    images = (noise + np.stack((bright.T, bright, 0 * bright))[data.labels][..., None]).astype(np.uint8)
    share = images[:48] / 255
    return replace(data, images=images, mean=(float(share.mean()),), std=(float(share.std()),))


@pytest.mark.parametrize("wish", WISHES)
def test_a_wish_is_in_reach_of_a_study_file_and_learns(wish: str, tmp_path: Path) -> None:
    data = striped(tmp_path)
    if wish == "synthetic minority samples":
        split = data.split.copy()
        split[np.flatnonzero((data.labels == 2) & (split == 0))[4:]] = -1
        data = replace(data, split=split)
    assert last(config(WISHES[wish], 12), data).figures["accuracy"] >= 0.8


def moving(folder: Path) -> Prepared:
    """Return samples of three grey frames whose brightness goes up or down by one of four steps, round and round.

    Any frame by itself, and all of them without their order, look the same in both classes.
    """
    data = made_up(folder, train=96, val=32, size=8, classes=2)
    rng = np.random.default_rng(0)
    steps = np.where(data.labels == 0, 1, -1)[:, None] * np.arange(3)
    shade = (rng.integers(4, size=(len(steps), 1)) + steps) % 4 * 60
    images = (shade[:, None, None] + rng.integers(0, 60, (len(steps), 8, 8, 3))).astype(np.uint8)
    share = images[:96] / 255
    moments = {"mean": tuple(share.mean((0, 1, 2))), "std": tuple(share.std((0, 1, 2)))}
    return replace(data, images=images, frames=3, **moments)


def test_an_lstm_over_frames_tells_motions_apart_that_no_frame_shows(tmp_path: Path) -> None:
    data = moving(tmp_path)
    space = 'optimizer = "adamw"\nlr = 0.01\nimage_size = 8'
    sequences = last(config(space, 15, "frames = 3"), data)
    assert sequences.figures["accuracy"] >= 0.9
    stills = replace(data, images=data.images[..., 2:], mean=data.mean[2:], std=data.std[2:], frames=1)
    assert last(config(space, 5), stills).figures["accuracy"] < 0.75


@pytest.mark.parametrize(("name", "trials", "more"), [("grid", 25, "points = 5"), ("gp", 15, "startup = 5")])
def test_grid_and_bayesian_search_find_good_settings(
    name: str, trials: int, more: str, root: Path, data: fakes.FakeData
) -> None:
    spec = parse_spec(
        f"""
        [budget]
        epochs = 1
        trials = {trials}
        [sampler]
        name = "{name}"
        {more}
        [scheduler]
        name = "none"
        [space]
        lr = {{ low = 0.001, high = 1.0, log = true, default = 0.9 }}
        dropout = {{ low = 0.0, high = 0.9, default = 0.8 }}
        """,
        name="toy",
    )
    make: Callable[[], StudyWriter] = lambda: open_writer(spec, root, data)  # noqa: E731
    with make() as writer:
        run_session(Session(writer, Limits(trials=trials), emit=lambda _: None), data)
        values = [trial.value or 0 for trial in writer.reader.trials()]
    best_there_is = fakes.score(TrialConfig(lr=0.1, dropout=0.2), 1)
    assert len(values) == trials
    assert max(values) > 0.8 * best_there_is
    assert max(values) > 1.5 * values[0]
