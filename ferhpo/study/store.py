"""Opens the study database; the only file that knows kinds of storage.

A SQLite file is kept in write-ahead mode, so that readers never block the one writer, and readers open it
read-only, so that a dashboard cannot harm a search (optuna-dashboard issue 545).
"""

import json
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
from optuna.distributions import CategoricalDistribution, distribution_to_json
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages._rdb.models import TrialIntermediateValueModel, TrialUserAttributeModel
from sqlalchemy import URL, delete, event, insert, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from ferhpo._atomic import locked
from ferhpo.errors import StudyError, UsageError, did_you_mean, first_line
from ferhpo.study.overview import DATABASE, STORAGE_FILE, read_only
from ferhpo.study.server import AdvisoryLock, wait_while_away

optuna.logging.set_verbosity(optuna.logging.ERROR)

FINITE = TrialIntermediateValueModel.TrialIntermediateValueType.FINITE
SECRETS = ("password", "sslpassword")  # libpq takes them behind the "?" too


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file, good from any working directory."""
    return URL.create("sqlite", database=str(path.resolve())).render_as_string()


def absolute(url: str) -> str:
    """Return a storage URL that means the same in any working directory.

    Raises:
        UsageError: it names a SQLite database that would not outlive the command, or it holds a password that would be
            taken for something else, and then shown.
    """
    if is_sqlite(url):
        return sqlite_url(sqlite_file(url))
    if _is_garbled(url):
        msg = (
            "--storage must have a number as its port, and %40, %3A and %2F for @, : and / in a password, got "
            f"{without_password(url)}; correct it"
        )
        raise UsageError(msg)
    return url


def sqlite_file(url: str) -> Path:
    """Return the file of a SQLite URL; raises as `absolute`."""
    try:
        database = make_url(url).database
    except ArgumentError:
        database = None
    if not database or database == ":memory:":
        msg = f"a study must be kept in a file, and --storage names none, got {url}; write sqlite:///FILE"
        raise UsageError(msg)
    return Path(database)


def without_password(url: str) -> str:
    """Return a storage URL that can be shown and stored; only its scheme where it cannot even be parsed."""
    with suppress(ArgumentError):
        if is_sqlite(url) or not _is_garbled(url):
            return make_url(url)._replace(password=None).difference_update_query(SECRETS).render_as_string()
    return f"{url.partition(':')[0]}:..."


def _is_garbled(url: str) -> bool:
    """Tell whether a server's URL has no number as its port, or an @ where none can be: of a password, by all odds."""
    try:
        parsed = make_url(url)
    except ArgumentError:  # no URL at all, which whoever opens it is told
        return False
    except ValueError:
        return True
    return "@" in f"{parsed.host}{parsed.database}"


def is_sqlite(url: str) -> bool:
    """Tell whether the URL names a SQLite file."""
    return url.startswith("sqlite")


class OneWriter(_CachedStorage):
    """Optuna's cache of a database, which is read again only after a write of our own.

    Optuna itself reads unfinished trials (six queries) and the study's attributes whenever they are asked for, some
    eight times a trial. But nobody else writes the trials. Other commands do write attributes of the study, such as
    openings of the test split; those are seen after our next write.

    Args:
        backend: the database.
    """

    def __init__(self, backend: RDBStorage) -> None:
        super().__init__(backend)
        self._read: set[int] = set()
        self._attrs: dict[int, dict[str, Any]] = {}
        event.listen(backend.engine, "after_execute", self._note)

    def _note(self, _connection: object, statement: Any, *_rest: object) -> None:
        if getattr(statement, "is_dml", False):
            self._read.clear()
            self._attrs.clear()

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the attributes of a study."""
        if study_id not in self._attrs:
            self._attrs[study_id] = super().get_study_user_attrs(study_id)
        return self._attrs[study_id]

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        if study_id not in self._read:
            super()._read_trials_from_remote_storage(study_id)
            self._read.add(study_id)


def open_for_writing(url: str) -> RDBStorage:
    """Open or create a database; the caller is its one writer.

    Raises:
        StudyError: it cannot be opened; the message holds no password.
    """
    if not is_sqlite(url):
        storage = _open(url, {"pool_pre_ping": True})
        wait_while_away(storage.engine)
        return storage
    sqlite_file(url).parent.mkdir(parents=True, exist_ok=True)
    storage = _open(url, {"connect_args": {"timeout": 60}})

    @event.listens_for(storage.engine, "connect")
    def pragmas(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    storage.engine.dispose()  # connections made before the listener are closed; new ones get the pragmas
    return storage


def open_for_reading(url: str) -> RDBStorage:
    """Open an existing database; a SQLite file read-only, so that nothing can lock or change it.

    Raises:
        StudyError: there is none, or it cannot be read; the message holds no password.
    """
    if not is_sqlite(url):
        return _open(url, {"poolclass": NullPool}, skip_table_creation=True)
    path = sqlite_file(url)
    if not path.is_file():
        msg = f"a study database must exist, got {path}; run `ferhpo search` first or correct --study or --root"
        raise StudyError(msg)
    return _open(read_only_url(path), {"connect_args": {"timeout": 60}}, shown=str(path), skip_table_creation=True)


def read_only_url(path: Path) -> str:
    """Return the URL that opens a SQLite file without the right to write."""
    database = f"file:{quote(str(path.resolve()))}"  # once for SQLite, which reads it as a URI; once more for the URL
    return URL.create("sqlite", database=database, query={**read_only(path), "uri": "true"}).render_as_string()


def holds(url: str, name: str) -> bool:
    """Tell whether a database holds a study of that name; one that is not there is not made.

    Raises:
        StudyError: it is there and cannot be read.
    """
    if is_sqlite(url) and not sqlite_file(url).exists():
        return False
    storage = open_for_reading(url)
    try:
        return name in optuna.get_all_study_names(storage)
    finally:
        storage.engine.dispose()


def load(storage: BaseStorage, name: str, shown_url: str) -> optuna.Study:
    """Return the Optuna study of that name.

    Raises:
        StudyError: the database has none.
    """
    try:
        return optuna.load_study(study_name=name, storage=storage)
    except (StorageInternalError, SQLAlchemyError) as error:
        reason = first_line(error.__cause__ or error)
        msg = f"the study database must be readable, got {shown_url}: {reason}; restore the file or correct --storage"
        raise StudyError(msg) from None
    except KeyError:
        names = optuna.get_all_study_names(storage)
        hint = did_you_mean(name, names) if names else "; the database is empty"
        msg = f"a study must exist in {shown_url}, got '{name}'{hint}"
        raise StudyError(msg) from None


def remembered_url(folder: Path) -> str:
    """Return the database URL of the study in ``folder``: the one remembered there, else its own SQLite file."""
    note = folder / STORAGE_FILE
    return note.read_text(encoding="utf-8").strip() if note.is_file() else sqlite_url(folder / DATABASE)


@contextmanager
def one_writer(storage: RDBStorage, name: str) -> Generator[Callable[[], None]]:
    """Hold the lock of a study in its database, whatever folder a writer keeps checkpoints in.

    On PostgreSQL it is the server's, which drops it with our connection; for SQLite it is a file beside the database.
    In other databases nothing is held: the lock file of the study's folder has to do.

    Yields:
        A function that makes sure that the lock is still held, see `AdvisoryLock.check`.

    Raises:
        BlockingIOError: another process, on PostgreSQL on whatever machine, holds it.
    """
    kind = storage.engine.dialect.name
    if kind == "sqlite":
        file = sqlite_file(storage.url)
        with locked(file.with_name(f"{file.name}-{name}.lock"), wait=False):
            yield lambda: None
    elif kind == "postgresql":
        with closing(AdvisoryLock(storage.engine, name)) as lock:
            yield lock.check
    else:
        yield lambda: None


def set_choices(storage: RDBStorage, name: str, choices: Mapping[str, tuple[Any, ...]]) -> None:
    """Write longer lists of choices into every trial of a study, all of them or none.

    A choice is stored as its place in the list, so what follows the old list changes no trial.

    Args:
        storage: open for writing.
        name: the study's.
        choices: the lists, by parameter; each begins with the one that is there.
    """
    query = text(
        "UPDATE trial_params SET distribution_json = :json WHERE param_name = :param AND trial_id IN "
        "(SELECT trial_id FROM trials WHERE study_id = :study)"
    )
    study = storage.get_study_id_from_name(name)
    with storage.engine.begin() as connection:
        for param, values in choices.items():
            drawn_from = distribution_to_json(CategoricalDistribution(values))
            connection.execute(query, {"json": drawn_from, "param": param, "study": study})


def write_trial(
    storage: RDBStorage, trial_id: int, attrs: Mapping[str, Any], value: tuple[int, float] | None = None
) -> None:
    """Write attributes of a trial that is not over, and perhaps an epoch's value: all of it or nothing.

    Optuna's own calls take a transaction for each.

    Args:
        storage: open for writing.
        trial_id: Optuna's key of the trial.
        attrs: JSON values by name, in place of what was there.
        value: epoch and a finite number, in place of what was there.
    """
    kept, reported = (model.__table__ for model in (TrialUserAttributeModel, TrialIntermediateValueModel))
    with storage.engine.begin() as connection:
        connection.execute(delete(kept).where(kept.c.trial_id == trial_id, kept.c.key.in_(attrs)))
        rows = [{"trial_id": trial_id, "key": key, "value_json": json.dumps(given)} for key, given in attrs.items()]
        connection.execute(insert(kept), rows)
        if value is not None:
            step, number = value
            row = {"trial_id": trial_id, "step": step, "intermediate_value": number, "intermediate_value_type": FINITE}
            connection.execute(delete(reported).where(reported.c.trial_id == trial_id, reported.c.step == step))
            connection.execute(insert(reported), row)


def forget(storage: RDBStorage, trial_id: int, attrs: Collection[str]) -> None:
    """Delete attributes of a trial, which Optuna cannot; arguments as `write_trial`."""
    kept = TrialUserAttributeModel.__table__
    with storage.engine.begin() as connection:
        connection.execute(delete(kept).where(kept.c.trial_id == trial_id, kept.c.key.in_(attrs)))


def _open(url: str, engine_kwargs: dict[str, Any], *, shown: str | None = None, **kwargs: Any) -> RDBStorage:
    template = url.replace("{", "{{").replace("}", "}}")  # Optuna calls `format` on it; a password may hold braces
    try:
        return RDBStorage(template, engine_kwargs=engine_kwargs, **kwargs)
    except ImportError as error:
        driver = error.name or first_line(error)
        msg = (
            f"this --storage needs a database driver ({driver}); for PostgreSQL run pip install '.[postgres]' in "
            "ferhpo's clone"
        )
        raise UsageError(msg) from None
    except (StorageInternalError, SQLAlchemyError, RuntimeError, ValueError) as error:
        reason = first_line(error.__cause__ or error)
        msg = (
            f"a study database must open, got {shown or without_password(url)}: {reason}; correct --storage or "
            "restore the file"
        )
        raise StudyError(msg) from None
