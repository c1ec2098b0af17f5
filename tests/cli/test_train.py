"""`ferhpo train`: one configuration on a few rendered faces, its figures, its checkpoint, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from ferhpo import _layout
from ferhpo.cli.train import configure, fitted
from ferhpo.data.cache import Prepared
from ferhpo.errors import UsageError
from ferhpo.metrics import METRICS
from ferhpo.space.config import TrialConfig
from ferhpo.space.spec import parse_spec
from ferhpo.study.source import open_data
from ferhpo.study.study import Study
from ferhpo.training.width import Fitted
from tests.cli.conftest import Run

TINY = """\
[data]
format = "synthetic"
rows = 200
[budget]
epochs = 1
[space]
width = 4
precision = "fp32"
momentum = 0.8
ema = 0.9
augment = { low = 0.0, high = 1.0, default = 0.0 }
"""


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path) -> Path:
    """Return the study file ./studies/tiny.toml."""
    path = tmp_path / "studies" / "tiny.toml"
    path.parent.mkdir()
    path.write_text(TINY)
    return path


def test_a_training_prints_the_promised_keys_and_keeps_its_checkpoint(run: Run, root: Path) -> None:
    ran = run("train", "--study", "tiny", "--format", "json", "--set", "lr=0.05", "--set", "optimizer=adamw")
    assert ran.code == 0, ran.err
    found = ran.json
    assert (found["epochs"], found["test"]) == (1, None)
    assert found["seconds"] > 0
    assert found["val"].keys() == METRICS.keys()
    assert found["parameters"] > 0
    folder = Path(found["checkpoint"])
    assert folder == root / "tiny" / "train"
    card = json.loads((folder / _layout.CARD).read_text())
    assert (card["config"]["lr"], card["config"]["optimizer"], card["config"]["width"]) == (0.05, "adamw", 4)
    assert (folder / _layout.WEIGHTS).is_file()
    assert "epoch 1: accuracy" in ran.err
    assert [line for line in ran.err.splitlines() if "no effect" in line] == [
        "momentum of the study file has no effect beside the other settings"
    ]
    assert not (root / "tiny" / "study.db").exists(), "one training is no study"


def test_the_opened_test_split_is_scored_and_recorded(run: Run, root: Path, tmp_path: Path) -> None:
    ran = run("train", "--study", "tiny", "--test", "--out", "mine", "--format", "json")
    assert ran.code == 0, ran.err
    assert ran.json["test"].keys() == {*METRICS, "ci95"}
    assert ran.json["checkpoint"] == str(tmp_path / "mine")
    assert "the sealed test split of study 'tiny' is opened (now 1 times)" in ran.err
    openings = Study.open(root, "tiny").openings
    assert [o["command"] for o in openings] == ["ferhpo train --study tiny --test --out mine --format json"]
    assert run("study", "show", "--format", "json").json["test_openings"] == openings, "the study last used is tiny"


def test_what_may_not_be_opened_is_refused_before_the_training(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("train", "--study", "tiny", "--test").code == 0
    with monkeypatch.context() as patch:
        bare = lambda *a, **k: replace(open_data(*a, **k), counts={"train": {}, "val": {}, "test": {}})  # noqa: E731
        patch.setattr("ferhpo.study.source.open_data", bare)
        ran = run("train", "--study", "tiny", "--test")
    assert "--test needs test rows" in ran.failed(1)
    assert "epoch 1" not in ran.err
    file = root / "tiny.toml"
    file.write_text(file.read_text().replace("epochs = 1", "epochs = 2"))
    ran = run("train", "--study", "tiny", "--test")
    assert "a study keeps its epochs" in ran.failed(2)
    assert "epoch 1" not in ran.err


def test_the_test_split_is_scored_where_the_net_was_trained(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(config: TrialConfig, *_: object, device: str, **__: object) -> tuple[None, float]:
        assert (config.width, device) == (4, "a GPU")
        return None, 0.0

    def scored(_folders: object, _part: object, device: str) -> None:
        msg = f"scored on {device}"
        raise UsageError(msg)

    monkeypatch.setattr("ferhpo.cli.train.device_of", lambda _: "a GPU")
    monkeypatch.setattr("ferhpo.training.single.train_single", trained)
    monkeypatch.setattr("ferhpo.ensemble.infer.member_probabilities", scored)
    assert "scored on a GPU" in run("train", "--study", "tiny", "--test").failed(2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "lr"], "--set takes name=value, got 'lr'"),
        (["--set", "learning_rate=1"], "a setting must be a known one, got 'learning_rate'"),
        (["--set", "lr=fast"], "lr takes a number, got 'fast'"),
        (["--set", "width=2"], "width must be at least 4"),
        (["--set", "arch=resnet8s"], "an architecture must be a known one, got 'resnet8s'; did you mean 'resnet9s'"),
        (["--set", "arch=tim:resnet18"], "did you mean 'timm'"),
        (["--minutes", "1", "--epochs", "2"], "give --epochs or --minutes, not both, got 2 and 1"),
        (["--minutes", "0"], "--minutes must be a number above 0, got 0"),
        (["--minutes", "nan"], "--minutes must be a number above 0, got nan"),
        (["--minutes", "inf"], "--minutes must be a number above 0, got inf"),
        (["--epochs", "0"], "epochs must be at least 1, got 0"),
        (["--epochs", "2", "--set", "epochs=3"], "a training has one budget, got epochs in --set beside --epochs"),
        (["--set", "lr=0.1", "--set", "lr=0.2"], "--set takes each setting once, got lr more than once"),
        (["--set", "pretrained=true"], "must have an effect, got pretrained, which has none beside the others"),
        (["--set", "weights=no.safetensors"], "must have an effect, got weights"),
    ],
)
def test_a_value_that_makes_no_sense_is_misuse(run: Run, root: Path, words: list[str], message: str) -> None:
    assert message in run("train", "--study", "tiny", *words).failed(2)
    assert not (root / "tiny").exists()


def test_a_folder_of_other_things_is_never_replaced(run: Run, tmp_path: Path) -> None:
    precious = tmp_path / "home" / "thesis.tex"
    precious.parent.mkdir()
    precious.write_text("years of work")
    for out in ("home", "home/thesis.tex", "."):
        line = run("train", "--study", "tiny", "--out", out).failed(2)
        assert "--out must be a new folder or one with a checkpoint alone, which is replaced" in line
    assert precious.read_text() == "years of work"


def test_a_file_beside_a_checkpoint_keeps_its_folder(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "net"
    out.mkdir()
    for name in (_layout.CARD, _layout.WEIGHTS, "notes.txt"):
        (out / name).write_text("mine")
    assert "which is replaced, got" in (line := run("train", "--study", "tiny", "--out", "net").failed(2))
    assert "net with notes.txt; name another" in line
    assert (out / "notes.txt").read_text() == "mine"


def test_an_unknown_study_is_misuse(run: Run) -> None:
    assert "there is no studies/tinny.toml; did you mean 'tiny'" in run("train", "--study", "tinny").failed(2)


def test_data_that_are_not_there_are_named(run: Run) -> None:
    assert "none.csv: there is no such file" in run("train", "--study", "tiny", "--data", "none.csv").failed(1)


@pytest.mark.parametrize(
    ("space", "width", "offered"),
    [
        ("width = { choices = [16, 4, 32], default = 4 }", 16, [4, 16, 32]),
        ("width = { low = 10, high = 30, default = 10 }", 16, [12, 16, 24]),
        ("width = { low = 97, high = 150, default = 120 }", 16, [97, 120, 150]),
        ('arch = "timm:resnet18"\nwidth = { low = 8, high = 32, default = 8 }', 8, None),
        ('width = { low = 8, high = 32, default = 12, when = { arch = ["vgg8"] } }', 12, None),
        ("width = 4", 4, None),
        ("", 32, None),
    ],
)
def test_minutes_fit_the_width_where_the_study_searches_over_it(
    space: str, width: int, offered: list[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[int]] = []

    def fit(config: TrialConfig, data: object, widths: list[int], *, device: str, seconds: float) -> Fitted:
        asked.append(widths)
        return Fitted(width=16, images_per_second=100.0, passes=6.0)

    monkeypatch.setattr("ferhpo.training.width.fit", fit)
    spec = parse_spec(f"[space]\n{space}\n", name="some")
    config = fitted(spec, spec.space.default_config(), cast("Prepared", None), "cpu", 60.0)
    assert config.width == width
    assert asked == ([] if offered is None else [offered])


def test_weights_that_set_names_are_seen_from_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    spec = parse_spec("[space]\n", name="some", path=tmp_path / "studies" / "some.toml")
    config = configure(
        spec, ["arch=torchvision:resnet18", "pretrained=true", "weights=w.safetensors"], epochs=None, minutes=None
    )
    assert config.weights == str(tmp_path / "w.safetensors")


def test_a_width_that_set_names_is_trained_however_much_time_there_is(
    run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(config: TrialConfig, *_: object, seconds: float, **__: object) -> None:
        msg = f"width {config.width} for {seconds:g} s"
        raise UsageError(msg)

    tiny.write_text(TINY.replace("width = 4", "width = { choices = [4, 8], default = 4 }"))
    monkeypatch.setattr(
        "ferhpo.training.width.fit", lambda *_, **__: Fitted(width=8, images_per_second=1.0, passes=6.0)
    )
    monkeypatch.setattr("ferhpo.training.single.train_single", trained)
    asked = ("train", "--study", "tiny", "--minutes", "2")
    assert "width 8 for 120 s" in run(*asked).failed(2)
    assert "width 4 for 120 s" in run(*asked, "--set", "width=4").failed(2)
