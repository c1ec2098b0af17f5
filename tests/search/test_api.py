"""`ferhpo.search` and `ferhpo.load_spec`: the command's power, without the command."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ferhpo
from ferhpo.data.arrays import Images
from ferhpo.errors import DataError, FerhpoError, SpecError, UsageError
from ferhpo.search import api
from ferhpo.search.job import train_trial
from ferhpo.search.runner import Outcome

TEXT = "[data]\nsize = 8\n[budget]\nepochs = 3\n[space]\nlr = { low = 0.001, high = 1.0, log = true, default = 0.1 }\n"
IMAGES = Images(images=np.random.default_rng(0).integers(256, size=(60, 8, 8), dtype=np.uint8), labels=["a", "b"] * 30)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return what the runner was given, in place of running."""
    seen: list[dict[str, Any]] = []

    def run(spec: object, data: object, root: Path, **more: object) -> None:
        seen.append({"spec": spec, "data": data, "root": root, **more})

    monkeypatch.setattr(api, "run", run)
    return seen


def objective(config: Any) -> Iterator[float]:
    for epoch in range(1, 4):
        yield (1 - config.lr) * (1 - 0.5 / epoch)


def test_the_package_gives_all_of_it_and_imports_none_before() -> None:
    program = (
        "import sys, ferhpo; assert not {'torch', 'ray', 'optuna', 'numpy'} & sys.modules.keys(); "
        "from ferhpo import search; import ferhpo.search.budget; from ferhpo import search as again; "
        "from ferhpo import Ensemble, Images, Study, load_spec; assert search is again and callable(search); "
        "assert 'ray' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        ferhpo.Nothing  # noqa: B018 # pyright: ignore[reportAttributeAccessIssue]


def test_a_study_is_loaded_by_name_file_or_text(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("seed = 4\n")
    assert ferhpo.load_spec(tmp_path / "mine.toml").seed == 4
    assert ferhpo.load_spec("quickstart").name == "quickstart"
    assert ferhpo.load_spec("mine", text=TEXT).budget.epochs == 3
    with pytest.raises(SpecError):
        ferhpo.load_spec("mine", text="sead = 3")


def test_arrays_become_the_studys_images(root: Path, ran: list[dict[str, Any]]) -> None:
    ferhpo.search(ferhpo.load_spec("mine", text=TEXT), data=IMAGES, root=str(root), trials=7, timeout="2m")
    (given,) = ran
    assert given["trainer"] is train_trial
    assert (given["data"].classes, given["data"].images.shape) == (("a", "b"), (60, 8, 8, 1))
    assert (given["limits"].trials, given["limits"].seconds) == (7, 120.0)
    assert given["root"] == root
    ferhpo.search(ferhpo.load_spec("mine", text=TEXT), data=given["data"].source, root=root)
    assert ran[1]["data"].fingerprint == given["data"].fingerprint, "later runs find them by their path"


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"data": IMAGES, "objective": objective}, UsageError, "leave data out"),
        ({"data": "nowhere.csv"}, DataError, "no such file"),
        ({}, UsageError, "names no images"),
        ({"objective": objective, "trials": 0}, UsageError, "--trials must be at least 1"),
        ({"objective": objective, "timeout": -1.0}, UsageError, "a duration"),
        ({"objective": objective, "concurrency": 0}, UsageError, "--concurrency"),
        ({"trials": "3"}, UsageError, "--trials must be a whole number, got '3'"),
        ({"trials": 2.5}, UsageError, "--trials must be a whole number, got 2.5"),
        ({"max_failures": [1]}, UsageError, r"--max-failures must be a whole number, got \[1\]"),
        ({"epochs_total": "9"}, UsageError, "--epochs-total must be a whole number, got '9'"),
        ({"device_seconds": "9"}, UsageError, "--device-seconds must be a number above 0, got '9'"),
        ({"stop_when_flat": "9"}, UsageError, "--stop-when-flat must be a number above 0, got '9'"),
        ({"timeout": []}, UsageError, "a duration is a number above 0"),
        ({"confirm": "2"}, UsageError, "--confirm must be a whole number, got '2'"),
        ({"objective": objective, "cpus_per_trial": "1"}, UsageError, "--cpus-per-trial must be a whole number"),
        ({"objective": objective, "gpus_per_trial": "1"}, UsageError, "--gpus-per-trial must be a number of 0 or more"),
    ],
)
def test_bad_input_is_a_sentence_before_anything_runs(
    root: Path, ran: list[dict[str, Any]], kwargs: dict[str, Any], error: type[FerhpoError], message: str
) -> None:
    with pytest.raises(error, match=message):
        ferhpo.search(ferhpo.load_spec("mine", text=TEXT), root=root, **kwargs)
    assert ran == []


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_an_objective_is_searched_and_the_same_call_goes_on(root: Path) -> None:
    events: list[object] = []

    def local(config: Any, epoch: int) -> float:
        return (1 - config.lr) * (1 - 0.5 / epoch)

    spec = ferhpo.load_spec("mine", text=TEXT)
    first: Outcome = ferhpo.search(spec, objective=local, root=root, trials=3, cpus_per_trial=1, emit=events.append)
    assert (first.done, first.new, first.reached) == (3, 3, True)
    assert events
    again = ferhpo.search(spec, objective=local, root=root, trials=4, cpus_per_trial=1)
    assert (again.done, again.new) == (4, 1)
    best = again.study.best()
    assert best is not None
    assert best.value is not None
