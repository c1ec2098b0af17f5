"""A search in this process, without Ray, and a system that is trained in a fraction of a second."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ferhpo.compare import run as runs
from ferhpo.data.cache import Prepared
from ferhpo.search.budget import Limits
from ferhpo.search.job import Job, train_trial
from ferhpo.search.runner import Outcome
from ferhpo.search.session import Session
from ferhpo.search.work import TrialWork
from ferhpo.space.spec import StudySpec
from ferhpo.study.study import Study
from tests.conftest import open_writer

SYSTEM = """\
description = "a system for tests"
[data]
size = 24
rows = 300
[budget]
epochs = 2
[reported]
data = "fer2013"
test_accuracy = 0.43
test_loss = [1.5, 1.3]
[space]
arch = "shallow_cnn"
width = { choices = [4, 8], default = 4 }
image_size = 24
batch_size = 32
precision = "fp32"
augment = 0.0
lr = { low = 1e-5, high = 0.1, log = true, default = 1e-5 }
optimizer = { choices = ["adam", "adamw"], default = "adam" }
[[try]]
optimizer = "adamw"
lr = 0.01
[[try]]
lr = 0.003
"""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """Return a study file ./studies/tiny.toml."""
    path = tmp_path / "studies" / "tiny.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(SYSTEM)
    return path


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let searches run here, by epochs and not by time, one trial after the other; return what was trained."""
    ran: list[str] = []

    def search(spec: StudySpec, data: Prepared, root: Path, *, limits: Limits, **_more: Any) -> Outcome:
        with open_writer(spec, root, data) as writer:  # pyright: ignore[reportArgumentType]
            val = data.part("val")
            writer.keep_validation(val.labels, val.groups)
            session = Session(writer, limits, emit=lambda _: None)
            provenance = {"fingerprint": data.fingerprint, "split": data.split_digest, "versions": {}}
            job = Job(
                study=writer.folder,
                data=data.folder,
                metric=spec.metric,
                threads=1,
                device="cpu",
                provenance=provenance,
            )
            while not session.over and (given := session.next_trial()):
                ran.append(f"{spec.name} {given.number}")
                work = TrialWork(given.number, given.config, given.epoch, job, train_trial)
                while session.epoch(given.number, work.next()):
                    pass
        study = Study.open(root, spec.name)
        n = limits.trials
        return Outcome(study=study, done=n, trials=n, interrupted=False, gave_up=False, spent=False, new=0)

    monkeypatch.setattr(runs, "search", search)
    return ran
