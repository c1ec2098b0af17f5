"""Every error a user can cause, in one tree.

    FerhpoError            exit code 1
    |- UsageError          exit code 2: the command was misused
    |  `- SpecError        exit code 2: a study file breaks a rule (file and line in front)
    |- DataError           an image set, or one of its files, cannot be read or is not the one expected
    |- ModelError          an architecture or its weights cannot be had
    |- CheckpointError     a checkpoint or an artifact on disk is damaged or missing
    |- StudyError          a study does not exist, is in use, or does not fit what was asked
    |- TrainingError       a training cannot go on (non-finite loss, ...)
    `- SearchError         a search was cut off, or ended without a single usable trial

A message is one sentence: the rule, what was got, what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class FerhpoError(Exception):
    """What a user sees as one line on stderr; everything else is a bug in ferhpo."""

    exit_code = 1


class UsageError(FerhpoError):
    """The command or one of its values is wrong."""

    exit_code = 2


class SpecError(UsageError):
    """A study file breaks a rule.

    Args:
        message: the rule, what was got, what to do.
        path: the study file, or a word for where the text came from.
        line: line in the file, counted from 1, where known.
    """

    def __init__(self, message: str, path: Path | str, line: int | None = None) -> None:
        where = f"{path}:{line}" if line else str(path)
        super().__init__(f"{where}: {message}")


class DataError(FerhpoError):
    """An image set cannot be read, or is not the one the study was begun with."""


class ModelError(FerhpoError):
    """An architecture or its weights cannot be had."""


class CheckpointError(FerhpoError):
    """A file that ferhpo wrote is damaged or missing."""


class StudyError(FerhpoError):
    """A study does not exist, is in use, or does not fit what was asked of it."""


class TrainingError(FerhpoError):
    """A training cannot go on."""


class SearchError(FerhpoError):
    """A search was cut off, or ended without a usable trial."""


def first_line(error: BaseException) -> str:
    """Return the first line that an error says, to stand in another one's sentence; its type where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def last_line(error: BaseException) -> str:
    """Return the last line that an error says, where torch names the weight; its type where it says nothing."""
    return next(reversed(str(error).strip().splitlines()), type(error).__name__).strip()


def one_line(error: BaseException) -> str:
    """Return an error as one line: a FerhpoError's sentence, else the type and the first line of the message."""
    said, kind = first_line(error), type(error).__name__
    return said if isinstance(error, FerhpoError) or said == kind else f"{kind}: {said}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known name, else the list of them.

    Args:
        name: what was got.
        known: the names that would have been right.
    """
    known = sorted(known)
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known) or 'none'}"
