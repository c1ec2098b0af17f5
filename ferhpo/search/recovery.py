"""What a dead run left behind, settled before the next one begins: adopted, handed back, or failed and queued.

The worker writes an epoch's files, then reports; the driver writes the database. So at any moment the files are at
most one epoch ahead of the database, and everything the database lacks stands in the epoch folder's card.
"""

import json
from pathlib import Path
from typing import Any

from ferhpo import _layout
from ferhpo.study.artifacts import drop_state
from ferhpo.study.writer import StudyWriter


def settle(writer: StudyWriter) -> list[str]:
    """Give every trial that an earlier run left the state it deserves.

    Returns:
        One sentence per trial that was not merely handed back before its first epoch.
    """
    notes = []
    for number, state, values in writer.unsettled():
        folder = _layout.last_epoch(_layout.trial_folder(writer.folder, number))
        record = read_record(folder) if folder else None
        if folder is not None and record is not None:
            if state == "RUNNING":
                notes.append(_adopt(writer, number, folder, record))
        elif values:
            writer.requeue(number, "interrupted, and its state is gone")
            notes.append(f"trial {number} was interrupted and its state is gone: its parameters are queued once more")
        elif state == "RUNNING":
            writer.hand_back(number)
    return notes


def _adopt(writer: StudyWriter, number: int, folder: Path, record: dict[str, Any]) -> str:
    writer.report(number, record["epoch"], record["value"], record["history"])
    if record["finished"]:
        drop_state(folder)
        writer.finish(number, "COMPLETE", record["value"], record["attrs"])
        return f"trial {number} had finished when the search was cut off: its result is kept"
    writer.hand_back(number)
    return f"trial {number} was cut off and goes on after epoch {record['epoch']}"


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return what the worker reported for an epoch folder, None if the folder cannot be gone on from."""
    try:
        record = json.loads((folder / _layout.RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    return record if record["finished"] or (folder / _layout.STATE).is_file() else None
