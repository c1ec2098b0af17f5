"""What a dead run left behind, settled before the next one begins: adopted, handed back, or failed and queued.

The worker writes an epoch's files, then reports; the driver writes the database. So at any moment the files are at
most one epoch ahead of the database, and everything the database lacks stands in the epoch folder's record.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferhpo import _layout
from ferhpo.study.artifacts import drop_state
from ferhpo.study.attrs import COSTS
from ferhpo.study.writer import StudyWriter

UNJUDGED = "unjudged"  # attribute of a trial: an epoch that no scheduler may have judged


def settle(writer: StudyWriter) -> list[str]:
    """Give every trial that an earlier run left the state it deserves.

    Returns:
        One sentence per trial that was not merely handed back before its first epoch.
    """
    notes = [settle_one(writer, number, values, judged=False) for number, values in writer.unsettled()]
    for trial in writer.reader.every():
        if trial.checkpoint is not None and trial.state in {"COMPLETE", "PRUNED"}:
            drop_state(trial.checkpoint)  # by a search that was killed right after it had stored the trial's end
    return [note for note in notes if note]


def settle_one(writer: StudyWriter, number: int, values: Mapping[int, float], *, judged: bool) -> str | None:
    """Give a trial that nobody works on any more the state it deserves, by the files that it left.

    Args:
        writer: the study.
        number: of a trial that is RUNNING or WAITING in the database.
        values: by epoch, as stored.
        judged: the scheduler let it go on after the last of these: nobody knows of a trial that died with its search.

    Returns:
        What became of it in one sentence, None if it waits as it is known.
    """
    record = last_record(writer.folder, number)
    if record is not None:
        return _adopt(writer, number, record, values, judged=judged)
    if values:
        then = writer.requeue(number, "interrupted; the files to go on from are missing")
        return f"trial {number} was interrupted and its state is gone: {then}"
    writer.hand_back(number)
    return None


def _adopt(
    writer: StudyWriter, number: int, record: dict[str, Any], values: Mapping[int, float], *, judged: bool
) -> str | None:
    epoch = record["epoch"]
    new = epoch not in values
    if costs := record["attrs"].get(COSTS):  # of the training: schedulers and constraints go by them
        writer.mark(number, {COSTS: costs})
    if new:
        writer.mark(number, {UNJUDGED: epoch})  # before the report: if killed in between, it is judged twice, never not
        writer.report(number, epoch, record["value"], record["history"])
    if record["finished"]:
        drop_state(writer.folder / record["attrs"]["checkpoint"])
        writer.finish(number, "COMPLETE", record["value"], record["attrs"])
        return f"trial {number} had finished when the search was cut off: its result is kept"
    cut_off = writer.hand_back(number, {} if judged else {UNJUDGED: epoch})  # it may be stored, and not yet ended
    return f"trial {number} was cut off and goes on after epoch {epoch}" if new or cut_off else None


def last_record(study: Path, number: int) -> dict[str, Any] | None:
    """Return what the worker reported, or was about to, for the last epoch whose files a trial of a study has."""
    folder = _layout.last_epoch(_layout.trial_folder(study, number))
    return None if folder is None else read_record(folder)


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return what the worker reported for an epoch folder, None if the folder cannot be gone on from."""
    try:
        record = json.loads((folder / _layout.RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    return record if record["finished"] or (folder / _layout.STATE).is_file() else None
