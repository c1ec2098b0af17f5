"""What a search cannot mend, in one sentence: its database, its disk or Ray gave way. Everything else is a bug."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from ferhpo.errors import FerhpoError, SearchError, one_line
from ferhpo.search.work import disk_trouble


def cut_off(name: str, reason: str) -> SearchError:
    """Return the error that ends a search from outside.

    Args:
        name: the study's.
        reason: what happened, in a few words.
    """
    msg = f"the search of '{name}' was cut off ({reason}); mend that, and the same command goes on from what is stored"
    return SearchError(msg)


@contextmanager
def told(name: str) -> Generator[None]:
    """Tell in one sentence that the database, the disk or Ray ended a search; other errors pass as they were raised.

    Ray raises a TuneError with a traceback in its text in place of whatever happened in the driver.

    Args:
        name: the study's.

    Raises:
        SearchError: one of the three ended the search.
    """
    try:
        yield
    except FerhpoError:
        raise
    except Exception as error:
        chain = list(_chain(error))
        reason = next(filter(None, map(_said, chain)), None)
        if reason is not None:
            raise cut_off(name, reason) from error
        if not _is_rays(error):
            raise
        origin = next((one for one in chain if not _is_rays(one)), None)
        if origin is None:
            raise cut_off(name, one_line(error)) from error
        raise origin from None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it was raised for."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _said(error: BaseException) -> str | None:
    """Return what the database or the disk said, None if it was neither."""
    if isinstance(error, (StorageInternalError, SQLAlchemyError)):
        return one_line(error.__cause__ or error)  # Optuna's own text says nothing of the cause
    return disk_trouble(error)


def _is_rays(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] == "ray"
