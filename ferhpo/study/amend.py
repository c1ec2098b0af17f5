"""What a command beside a search writes into a study: that it opened the test split, what it found on other data."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from ferhpo._atomic import locked
from ferhpo.study import store
from ferhpo.study.attrs import ELSEWHERE, OPENINGS

AMEND_LOCK = "amend.lock"  # in the study's folder


def record_opening(folder: Path, url: str, command: str, version: str) -> int:
    """Write down that the test split is opened; return how many times it now was.

    Args:
        folder: the study's, which has its name.
        url: of its database.
        command: what the user typed.
        version: of ferhpo.
    """
    entry = {"date": datetime.now().astimezone().isoformat(timespec="seconds"), "version": version, "command": command}
    with _amended(folder, url, OPENINGS) as openings:
        openings.append(entry)
    return len(openings)


def record_elsewhere(folder: Path, url: str, entry: Mapping[str, Any], place: int | None) -> int:
    """Write down an evaluation on other data and return its place.

    Args:
        folder: the study's, which has its name.
        url: of its database.
        entry: what is known of the evaluation.
        place: of an entry that this one replaces, None for a new one.
    """
    with _amended(folder, url, ELSEWHERE) as entries:
        if place is None:
            place = len(entries)
            entries.append({})
        entries[place] = dict(entry)
    return place


@contextmanager
def _amended(folder: Path, url: str, key: str) -> Generator[list[Any]]:
    """Yield a list that the study keeps, and store what becomes of it; two commands at once lose nothing."""
    with locked(folder / AMEND_LOCK):
        rdb = store.open_for_writing(url)
        try:
            study = store.load(rdb, folder.name, store.without_password(url))
            found = list(study.user_attrs.get(key, []))
            yield found
            study.set_user_attr(key, found)
        finally:
            rdb.engine.dispose()
