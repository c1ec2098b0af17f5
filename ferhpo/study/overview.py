"""What `ferhpo study list` tells of a study, read from its SQLite file with the standard library alone.

Importing Optuna and opening its storage takes one second, three where Python may not keep its bytecode; these four
queries take milliseconds. They rely on Optuna's schema v3.2.0.a, unchanged since Optuna 3.2, and a test holds them
against `study.Study`.
"""

import os
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ferhpo.errors import StudyError
from ferhpo.study.attrs import CONSTRAINTS, OBJECTIVES, REPEATED

DATABASE = "study.db"  # in a study's folder
STORAGE_FILE = "storage.url"  # beside it: the --storage of a study that lives elsewhere, without its password
WEIGHED = (OBJECTIVES, CONSTRAINTS, REPEATED)  # study attributes that make the best trial more than an SQL query
STATES = ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A study in one line.

    Args:
        name: the study's.
        states: number of trials by state, every state of STATES named.
        n_trials: number of trials.
        best: number and value of the best COMPLETE trial, else of the best PRUNED one, None if neither is there.
    """

    name: str
    states: dict[str, int]
    n_trials: int
    best: dict[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def study_names(root: Path) -> list[str]:
    """Return the names of the studies under a root, in order."""
    return sorted({p.parent.name for file in (DATABASE, STORAGE_FILE) for p in root.glob(f"*/{file}")})


def overview(folder: Path) -> Overview:
    """Read the study in a folder.

    Raises:
        StudyError: its database cannot be read.
    """
    if (folder / STORAGE_FILE).is_file():
        return _opened(folder)
    path = (folder / DATABASE).resolve()
    try:
        uri = f"{path.as_uri()}?{urlencode(read_only(path))}"
        with closing(sqlite3.connect(uri, uri=True, timeout=60)) as database:
            found = _read(database, folder.name)
    except (sqlite3.Error, TypeError) as error:
        msg = f"a study database must open, got {path}: {error}; restore the file, or delete it to begin anew"
        raise StudyError(msg) from None
    return found or _opened(folder)


def read_only(path: Path) -> dict[str, str]:
    """Return the parameters of the URI that opens a SQLite file without the right to write.

    In write-ahead mode SQLite needs two more files, which it cannot make in a folder that may not be written. Where
    they are missing nobody is writing, so the file can be read as one that does not change.
    """
    at_rest = not path.with_name(f"{path.name}-wal").exists() and not os.access(path.parent, os.W_OK)
    return {"mode": "ro", "immutable": "1"} if at_rest else {"mode": "ro"}


def _read(database: sqlite3.Connection, name: str) -> Overview | None:
    """Return the overview, None where Optuna has to be asked."""
    names = dict(database.execute("SELECT study_name, study_id FROM studies").fetchall())
    if name not in names:
        has = ", ".join(f"'{other}'" for other in sorted(names)) or "none"
        msg = f"{DATABASE} in a study's folder must hold the study of the folder's name, '{name}', and it holds {has}; "
        raise StudyError(msg + "rename the folder")
    study = names[name]
    attrs = database.execute("SELECT key FROM study_user_attributes WHERE study_id = ?", (study,)).fetchall()
    if any(key in WEIGHED for (key,) in attrs):
        return None
    (direction,) = database.execute("SELECT direction FROM study_directions WHERE study_id = ?", (study,)).fetchone()
    counted = dict(database.execute("SELECT state, COUNT(*) FROM trials WHERE study_id = ? GROUP BY state", (study,)))
    order = "DESC" if direction == "MAXIMIZE" else "ASC"
    ranked = (
        "SELECT number, value FROM trials JOIN trial_values USING (trial_id) WHERE study_id = ? AND state = ? "
        f"AND value_type = 'FINITE' ORDER BY value {order}, number LIMIT 1"
    )
    found = [database.execute(ranked, (study, state)).fetchone() for state in ("COMPLETE", "PRUNED")]
    best = next((row for row in found if row is not None), None)
    return Overview(
        name=name,
        states={state: counted.get(state, 0) for state in STATES},
        n_trials=sum(counted.values()),
        best=None if best is None else {"number": best[0], "value": best[1]},
    )


def _opened(folder: Path) -> Overview:
    from ferhpo.study.study import Study

    study = Study.open(folder.parent, folder.name)
    states, best = study.states(), study.best()
    return Overview(
        name=study.name,
        states=states,
        n_trials=sum(states.values()),
        best=None if best is None else {"number": best.number, "value": best.value},
    )
