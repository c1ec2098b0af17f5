"""What a study on a database server needs and one in a file does not: patience, and a lock that is looked after."""

import time
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError

from ferhpo.errors import StudyError

AWAY = 300.0  # seconds for which a writer waits for a server that has answered before
PAUSE = 2.0  # seconds between two attempts
KEEPALIVES = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}  # seconds, probes
LET_GO = 90.0  # seconds after which the server has certainly dropped a lock whose connection is dead


def wait_while_away(engine: Engine) -> None:
    """Let an engine that has connected once wait for its server when it has to connect again, instead of failing."""

    @event.listens_for(engine, "do_connect")
    def connected(dialect: Any, _record: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        until = time.monotonic() + AWAY
        while True:
            try:
                return dialect.connect(*args, **kwargs)
            except dialect.loaded_dbapi.Error:
                if time.monotonic() >= until:
                    raise
                time.sleep(PAUSE)


class AdvisoryLock:
    """The lock of a study on PostgreSQL, which the server drops with the connection that took it.

    Args:
        engine: of the study's database.
        name: the study's.

    Raises:
        BlockingIOError: another process, on whatever machine, holds it.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")  # an idle transaction may be ended
        self._name = name
        self._connection = self._taken()

    def check(self) -> None:
        """Take the lock again if its connection was lost.

        Raises:
            StudyError: another process has taken it meanwhile.
        """
        try:
            self._connection.execute(text("SELECT 1"))
        except DBAPIError:
            self.close()
            self._connection = self._taken_again()

    def close(self) -> None:
        """Give the lock back."""
        self._connection.invalidate()
        self._connection.close()

    def _taken_again(self) -> Connection:
        until = time.monotonic() + LET_GO
        while time.monotonic() < until:
            with suppress(BlockingIOError):
                return self._taken()
            time.sleep(PAUSE)
        msg = (
            f"a study takes one search at a time, and another one took '{self._name}' while the connection to the "
            "database was lost; run this command again once the other one has ended"
        )
        raise StudyError(msg)

    def _taken(self) -> Connection:
        connection = self._engine.connect()
        for name, value in KEEPALIVES.items():  # else the server holds the lock of a dead machine for two hours
            connection.execute(text(f"SET {name} = {value}"))
        query = text("SELECT pg_try_advisory_lock(hashtext(:name))")
        if connection.execute(query, {"name": f"ferhpo {self._name}"}).scalar():
            return connection
        connection.close()
        raise BlockingIOError
