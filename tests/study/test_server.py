"""A database server that goes away for a while costs a wait, and a lock that went with it is taken again."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from ferhpo.errors import StudyError
from ferhpo.study import server, store


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Return an engine that connects anew for every query, as if its server were gone in between."""
    monkeypatch.setattr(server, "PAUSE", 0.0)
    made = create_engine(f"sqlite:///{tmp_path / 'x.db'}", poolclass=NullPool)
    server.wait_while_away(made)
    return made


def away(monkeypatch: pytest.MonkeyPatch, engine: Engine, times: float) -> Callable[[], int]:
    """Let so many attempts to connect fail; return a function that counts the attempts."""
    real, tried = engine.dialect.connect, []

    def connect(*args: Any, **kwargs: Any) -> Any:
        tried.append(1)
        if len(tried) <= times:
            raise engine.dialect.loaded_dbapi.OperationalError
        return real(*args, **kwargs)

    monkeypatch.setattr(engine.dialect, "connect", connect)
    return lambda: len(tried)


def test_a_server_that_comes_back_is_waited_for(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    tried = away(monkeypatch, engine, 3)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    assert tried() == 4


def test_a_server_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    monkeypatch.setattr(server, "AWAY", 0.01)
    away(monkeypatch, engine, float("inf"))
    with pytest.raises(OperationalError):
        engine.connect()


@pytest.fixture
def postgresql() -> Iterator[Engine]:
    url = os.environ.get("TEST_POSTGRES_URL")
    if not url:
        pytest.skip("TEST_POSTGRES_URL names no PostgreSQL database; .ci/run starts one")
    storage = store.open_for_writing(url)
    yield storage.engine
    storage.engine.dispose()


def end_connection(lock: server.AdvisoryLock, engine: Engine) -> None:
    """Do to a lock's connection what a restart of the server does."""
    pid = lock._connection.execute(text("SELECT pg_backend_pid()")).scalar()
    with engine.connect() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})


@pytest.mark.postgres
def test_one_process_holds_a_studys_lock_until_it_gives_it_back(postgresql: Engine) -> None:
    lock = server.AdvisoryLock(postgresql, "toy")
    lock.check()
    with pytest.raises(BlockingIOError):
        server.AdvisoryLock(postgresql, "toy")
    server.AdvisoryLock(postgresql, "another").close()
    lock.close()
    server.AdvisoryLock(postgresql, "toy").close()


@pytest.mark.postgres
def test_a_lock_that_was_lost_is_taken_again_unless_another_has_it(
    postgresql: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PAUSE", 0.01)
    monkeypatch.setattr(server, "LET_GO", 0.1)
    lock = server.AdvisoryLock(postgresql, "toy")
    end_connection(lock, postgresql)
    lock.check()
    with pytest.raises(BlockingIOError):
        server.AdvisoryLock(postgresql, "toy")
    end_connection(lock, postgresql)
    other = server.AdvisoryLock(postgresql, "toy")
    with pytest.raises(StudyError, match="another one took 'toy' while the connection to the database was lost"):
        lock.check()
    other.close()


@pytest.mark.postgres
def test_a_server_tells_a_dead_machine_from_a_quiet_one(postgresql: Engine) -> None:
    lock = server.AdvisoryLock(postgresql, "toy")
    assert lock._connection.execute(text("SHOW tcp_keepalives_idle")).scalar() == "30"
    lock.close()
