"""The database opens for one writer and for readers who can do no harm, and no message holds a password."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import event

from ferhpo.errors import FerhpoError, StudyError, UsageError
from ferhpo.study import store

PASSWORD = "s3cr3t"
NOWHERE = f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:1/studies"  # nobody listens on port 1


@pytest.fixture
def url(tmp_path: Path) -> str:
    return store.sqlite_url(tmp_path / "deep" / "study.db")


@pytest.fixture
def storage(url: str) -> Iterator[RDBStorage]:
    opened = store.open_for_writing(url)
    yield opened
    opened.engine.dispose()


def filled(storage: RDBStorage) -> tuple[int, int]:
    """Make a study "toy" with one running trial; return their keys."""
    study_id = storage.create_new_study([StudyDirection.MAXIMIZE], "toy")
    return study_id, storage.create_new_trial(study_id)


def test_a_trial_written_is_a_trial_read(storage: RDBStorage, url: str) -> None:
    study_id, trial_id = filled(storage)
    storage.set_study_user_attr(study_id, "data", {"path": None, "classes": ["a", "b"]})
    storage.set_trial_param(trial_id, "lr", 0.1, FloatDistribution(0.01, 1, log=True))
    storage.set_trial_intermediate_value(trial_id, 1, 0.5)
    storage.set_trial_user_attr(trial_id, "history", [{"epoch": 1}])
    storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])
    reader = store.open_for_reading(url)
    study = optuna.load_study(study_name="toy", storage=reader)
    assert study.user_attrs == {"data": {"path": None, "classes": ["a", "b"]}}
    (trial,) = study.get_trials()
    assert (trial.number, trial.state, trial.value, trial.params) == (0, TrialState.COMPLETE, 0.5, {"lr": 0.1})
    assert (trial.intermediate_values, trial.user_attrs) == ({1: 0.5}, {"history": [{"epoch": 1}]})
    reader.engine.dispose()


def test_the_one_writer_reads_trials_again_only_after_a_write(storage: RDBStorage) -> None:
    study_id, trial_id = filled(storage)
    one_writer, statements = store.OneWriter(storage), []
    event.listen(storage.engine, "after_execute", lambda _c, statement, *_: statements.append(str(statement)))
    for _ in range(3):
        assert one_writer.get_all_trials(study_id)[0].user_attrs == {}
    assert len([s for s in statements if "FROM trials" in s]) == 1
    store.write_trial(storage, trial_id, {"host": "a"}, (1, 0.5))
    (trial,) = one_writer.get_all_trials(study_id)
    assert trial.user_attrs == {"host": "a"}
    one_writer.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])
    one_writer.create_new_trial(study_id)
    assert [t.state for t in one_writer.get_all_trials(study_id)] == [TrialState.COMPLETE, TrialState.RUNNING]


def test_the_one_writer_reads_a_studys_attributes_again_only_after_a_write(storage: RDBStorage) -> None:
    study_id, _ = filled(storage)
    study, statements = optuna.load_study(study_name="toy", storage=store.OneWriter(storage)), []
    event.listen(storage.engine, "after_execute", lambda _c, statement, *_: statements.append(str(statement)))
    before = study.user_attrs
    for _ in range(3):
        study.user_attrs["path"] = "x"  # into a copy
        assert study.user_attrs == before
    assert len([s for s in statements if "FROM study_user_attributes" in s]) == 1
    study.set_user_attr("driver", {"host": "a"})
    assert study.user_attrs == before | {"driver": {"host": "a"}}
    assert storage.get_study_user_attrs(study_id) == study.user_attrs


def test_a_trial_put_back_is_asked_again_under_its_number(storage: RDBStorage) -> None:
    _, trial_id = filled(storage)
    storage.set_trial_intermediate_value(trial_id, 1, 0.5)
    storage.set_trial_state_values(trial_id, TrialState.WAITING)
    study = optuna.load_study(study_name="toy", storage=storage)
    asked = study.ask()
    assert asked.number == 0
    assert study.get_trials()[0].intermediate_values == {1: 0.5}


def test_numbers_count_up_without_a_gap(storage: RDBStorage) -> None:
    study_id, _ = filled(storage)
    for _ in range(3):
        storage.create_new_trial(study_id)
    assert [t.number for t in storage.get_all_trials(study_id)] == [0, 1, 2, 3]


def test_a_value_that_json_and_sql_lack_is_kept_as_it_is(storage: RDBStorage) -> None:
    _, trial_id = filled(storage)
    storage.set_trial_intermediate_value(trial_id, 1, float("inf"))
    assert storage.get_trial(trial_id).intermediate_values == {1: float("inf")}


def test_a_reader_sees_what_is_written_meanwhile(storage: RDBStorage, url: str) -> None:
    study_id, _ = filled(storage)
    reader = store.open_for_reading(url)
    assert len(reader.get_all_trials(study_id)) == 1
    storage.create_new_trial(study_id)
    assert len(reader.get_all_trials(study_id)) == 2
    reader.engine.dispose()


def test_a_reader_cannot_write(storage: RDBStorage, url: str) -> None:
    study_id, trial_id = filled(storage)
    reader = store.open_for_reading(url)
    for write in (
        lambda: reader.set_trial_intermediate_value(trial_id, 1, 0.5),
        lambda: reader.set_study_user_attr(study_id, "a", 1),
        lambda: reader.create_new_trial(study_id),
    ):
        with pytest.raises(StorageInternalError) as caught:
            write()
        assert "readonly database" in str(caught.value.__cause__)
    reader.engine.dispose()
    (trial,) = storage.get_all_trials(study_id)
    assert trial.intermediate_values == {}


def test_a_sqlite_file_is_in_write_ahead_mode(storage: RDBStorage, url: str) -> None:
    filled(storage)
    with sqlite3.connect(store.sqlite_file(url)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_reader_in_the_middle_of_reading_does_not_stop_the_writer(storage: RDBStorage, url: str) -> None:
    study_id, trial_id = filled(storage)
    reading = sqlite3.connect(f"file:{store.sqlite_file(url)}?mode=ro", uri=True)
    reading.execute("BEGIN")
    assert reading.execute("SELECT count(*) FROM trials").fetchone() == (1,)
    storage.create_new_trial(study_id)
    storage.set_trial_intermediate_value(trial_id, 1, 0.5)
    assert reading.execute("SELECT count(*) FROM trials").fetchone() == (1,)
    reading.close()


@pytest.mark.parametrize("folder", ["a b", "a#b", "a%41b", "a?b", "ä", "a{b}"])
def test_a_folder_may_have_any_usual_name(tmp_path: Path, folder: str) -> None:
    url = store.sqlite_url(tmp_path / folder / "study.db")
    writer = store.open_for_writing(url)
    filled(writer)
    reader = store.open_for_reading(url)
    assert optuna.get_all_study_names(reader) == ["toy"]
    assert (tmp_path / folder / "study.db").is_file()
    reader.engine.dispose()
    writer.engine.dispose()


def test_a_database_at_rest_in_a_folder_that_may_not_be_written_is_read(
    storage: RDBStorage, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(storage)
    path = store.sqlite_file(url)
    assert "immutable" not in store.read_only_url(path)
    monkeypatch.setattr("os.access", lambda _path, mode: mode != os.W_OK)
    assert "immutable" not in store.read_only_url(path), "it is being written by somebody else"
    storage.engine.dispose()
    assert not path.with_name("study.db-wal").exists()
    assert "immutable=1" in store.read_only_url(path)
    reader = store.open_for_reading(url)
    assert optuna.get_all_study_names(reader) == ["toy"]
    reader.engine.dispose()


def test_reading_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"a study database must exist, got .*study.db; run `ferhpo search` first"):
        store.open_for_reading(store.sqlite_url(tmp_path / "study.db"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"this is no database, but long enough to look like a file of one" * 40])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "study.db"
    path.write_bytes(content)
    with pytest.raises(StudyError, match=r"study\.db: .*restore the file"):
        store.open_for_reading(store.sqlite_url(path))
    assert path.read_bytes() == content


def test_a_damaged_file_is_refused_by_the_writer_too_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StudyError, match=r"a study database must open, got .*study\.db"):
        store.open_for_writing(store.sqlite_url(path))
    assert path.read_bytes() == b"no database" * 1000


@pytest.mark.parametrize("open_it", [store.open_for_reading, store.open_for_writing])
def test_a_server_that_does_not_answer_is_named_without_the_password(open_it: object) -> None:
    assert callable(open_it)
    with pytest.raises(
        StudyError, match=r"a study database must open, got postgresql\+psycopg://me@127\.0\.0\.1:1"
    ) as e:
        open_it(NOWHERE)
    assert PASSWORD not in str(e.value)
    assert "\n" not in str(e.value)


def test_a_url_of_no_database_is_refused_without_its_password() -> None:
    with pytest.raises(FerhpoError) as caught:
        store.open_for_writing(f"nosuchdb://me:{PASSWORD}@host/x")
    assert PASSWORD not in str(caught.value)


def test_what_is_no_url_is_refused() -> None:
    with pytest.raises(StudyError, match="a study database must open, got nonsense"):
        store.open_for_writing("nonsense")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{PASSWORD}@host/db",
        f"postgresql+psycopg://me:{PASSWORD}@host:5432/db?sslmode=require",
        f"postgresql://me@host/db?password={PASSWORD}",
        f"mysql://me:{PASSWORD}%40@host/db",
        f"://me:{PASSWORD}@host",
        f"postgres me:{PASSWORD}@host",
    ],
)
def test_a_shown_url_has_no_password(url: str) -> None:
    assert PASSWORD not in store.without_password(url)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:an@{PASSWORD}@host/db",  # SQLAlchemy takes it for a part of the host,
        f"postgresql://me:an@other:{PASSWORD}@host/db",  # the port,
        f"postgresql://me:an@/{PASSWORD}@host/db",  # or the database
        f"postgresql://me:{PASSWORD}@host:54x/db",
    ],
)
def test_a_password_that_would_be_taken_for_something_else_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError, match=r"%40, %3A and %2F for .* in a password, got postgresql:\.\.\.;") as caught:
        store.absolute(url)
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in store.without_password(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me@corp:a%40b:c/d?e@host:5432/db?sslmode=require",
        "postgresql:///db?host=/run/postgresql",
        "postgresql://[::1]:5432/db",
    ],
)
def test_any_other_url_is_taken_as_it_is(url: str) -> None:
    assert store.absolute(url) == url


def test_a_shown_url_keeps_the_rest() -> None:
    url = "postgresql+psycopg://me:x@host:5432/db?sslmode=require"
    assert store.without_password(url) == "postgresql+psycopg://me@host:5432/db?sslmode=require"


def test_a_password_may_hold_braces(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql+psycopg://me:a{b}c{0}@127.0.0.1:1/studies"
    with pytest.raises(StudyError, match="a study database must open, got"):
        store.open_for_writing(url)


def test_whether_a_database_holds_a_study_is_told_without_making_one(
    storage: RDBStorage, url: str, tmp_path: Path
) -> None:
    filled(storage)
    assert [store.holds(url, name) for name in ("toy", "toi")] == [True, False]
    assert not store.holds(store.sqlite_url(tmp_path / "none.db"), "toy")
    assert not (tmp_path / "none.db").exists()


def test_a_sqlite_url_means_the_same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store.absolute("sqlite:///a/study.db") == f"sqlite:///{tmp_path}/a/study.db"
    assert store.absolute("sqlite:////b/study.db") == "sqlite:////b/study.db"
    assert store.absolute(NOWHERE) == NOWHERE


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite", "sqlite:x"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="a study must be kept in a file"):
        store.absolute(url)


def test_a_study_in_a_sqlite_file_has_one_writer_whatever_its_folder(storage: RDBStorage) -> None:
    with store.one_writer(storage, "toy"), store.one_writer(storage, "another"), pytest.raises(BlockingIOError):
        store.one_writer(storage, "toy").__enter__()
    with store.one_writer(storage, "toy"):
        pass
