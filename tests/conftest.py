"""What all tests share: a clean environment, and a study in a temporary folder made without training."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `import fakes`, whatever the test's folder
os.environ["OMP_NUM_THREADS"] = "1"  # nets and arrays are small: a second thread would only wait for the first

import alembic.util
import fakes
from optuna.storages import RDBStorage

from ferhpo.search.budget import Limits
from ferhpo.search.events import Event
from ferhpo.search.samplers import sampler
from ferhpo.search.session import Session
from ferhpo.search.under_way import UnderWay
from ferhpo.space.spec import StudySpec
from ferhpo.study import store
from ferhpo.study.source import data_record
from ferhpo.study.study import Study
from ferhpo.study.writer import StudyWriter

# whenever a database is opened, alembic executes all of Optuna's migration scripts; once a process will do
alembic.util.load_python_file = cache(alembic.util.load_python_file)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what a developer's shell may bring."""
    for name in list(os.environ):
        if name.startswith("FERHPO_") or name == "RAY_ADDRESS":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database that has its tables, which Optuna takes a fifth of a second to make."""
    path = tmp_path_factory.mktemp("database") / "study.db"
    store.open_for_writing(store.sqlite_url(path)).engine.dispose()
    return path


@pytest.fixture(autouse=True)
def copied_database(empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin every new database with a copy of the empty one."""
    real = store.open_for_writing

    def opened(url: str) -> RDBStorage:
        if store.is_sqlite(url) and not (path := store.sqlite_file(url)).exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(empty_database, path)
        return real(url)

    monkeypatch.setattr(store, "open_for_writing", opened)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return an empty folder for studies."""
    return tmp_path / "studies"


@pytest.fixture
def data(tmp_path: Path) -> fakes.FakeData:
    """Return data that nobody looks at."""
    return fakes.FakeData(folder=tmp_path / "data")


@pytest.fixture
def writer(root: Path, data: fakes.FakeData) -> Iterator[StudyWriter]:
    """Return a new study of `fakes.spec`, open for writing."""
    spec = fakes.spec()
    with open_writer(spec, root, data) as opened:
        yield opened


def open_writer(
    spec: StudySpec, root: Path, data: fakes.FakeData, storage: str | None = None, **more: Any
) -> StudyWriter:
    """Return a study to be opened for writing."""
    make = partial(sampler, spec)
    return StudyWriter(spec, root, storage=storage, data=data_record(data), make_sampler=make, **more)  # pyright: ignore[reportArgumentType]


def session(
    writer: StudyWriter, trials: int = 6, emit: Callable[[Event], None] = lambda _: None, **limits: object
) -> Session:
    """Return a session of a study, its limits by name."""
    return Session(writer, Limits(trials=trials, **limits), emit=emit)  # pyright: ignore[reportArgumentType]


def run_session(session: UnderWay, data: fakes.FakeData, epochs: int | None = None) -> None:
    """Run a session's trials one after the other in this process: what Ray does, without Ray.

    Args:
        session: what decides.
        data: what the trials would be trained on.
        epochs: stop, as if killed, after so many epochs in all.
    """
    job = fakes.job(session.writer.folder, data, session.writer.spec)
    spent = 0
    while not session.over:
        assignment = session.next_trial()
        if assignment is None:
            return
        worker = fakes.worker(assignment, job)
        goes_on = True
        while goes_on:
            if epochs is not None and spent >= epochs:
                return
            goes_on = session.epoch(assignment.number, worker())
            spent += 1


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folders of the studies that `study` made so far: half a second each, a copy takes none."""
    return {"": tmp_path_factory.mktemp("made")}


@pytest.fixture
def study(root: Path, data: fakes.FakeData, made: dict[str, Path]) -> Callable[..., Study]:
    """Return a function that makes a study with a number of trials, trained by the fake trainer."""

    def make(trials: int = 6, **kwargs: object) -> Study:
        spec = fakes.spec(**kwargs)  # pyright: ignore[reportArgumentType]
        key = f"{trials} {sorted(kwargs.items())}"
        if key not in made:
            template = made[""] / str(len(made))
            with open_writer(spec, template, data) as opened:
                opened.keep_validation(data.labels, data.groups)
                run_session(Session(opened, Limits(trials=trials), emit=lambda _: None), data)
            made[key] = template / spec.name
        shutil.copytree(made[key], root / spec.name)
        return Study.open(root, spec.name)

    return make


@pytest.fixture
def events() -> list[Event]:
    """Return a list to gather events in."""
    return []
