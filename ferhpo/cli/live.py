"""Draws a running search: one live table on a terminal, plain lines elsewhere; both on stderr."""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ferhpo.cli.output import cell, say, settings
from ferhpo.metrics import Metric, metric
from ferhpo.search.events import Emit, EnsembleScored, EpochEnded, Event, Note, SearchBegan, TrialBegan, TrialEnded

SHOWN = 12  # trials in the live table: the running ones and the last that ended


@dataclass(kw_only=True)
class Row:
    """A trial as the live table shows it."""

    number: int
    params: str
    epoch: int
    epochs: int | None
    value: float | None = None
    state: str = "running"
    repeats: int | None = None


@dataclass(kw_only=True)
class Board:
    """What is known of a running search, folded from its events."""

    began: SearchBegan | None = None
    at: float = field(default_factory=time.monotonic)
    rows: dict[int, Row] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)
    best: tuple[int, float] | None = None
    ensemble: tuple[int, float] | None = None  # members, value
    metric: Metric = field(default_factory=lambda: metric("accuracy"))

    def take(self, event: Event) -> None:
        """Fold an event in."""
        match event:
            case SearchBegan():
                self.began, self.at, self.metric, self.states = event, time.monotonic(), metric(event.metric), {}
                self.best, self.ensemble = event.best, event.ensemble
            case TrialBegan():
                self.rows[event.number] = Row(
                    number=event.number,
                    params=settings(event.params),
                    epoch=event.epoch,
                    epochs=event.epochs,
                    repeats=event.repeats,
                )
            case EpochEnded():
                row = self.rows[event.number]
                row.epoch, row.value = event.epoch, event.value
            case TrialEnded():
                self._end(event)
            case EnsembleScored():
                self.ensemble = (len(event.members), event.ensemble)
            case Note():
                pass  # said once, see `watching`

    def _end(self, event: TrialEnded) -> None:
        unseen = Row(number=event.number, params="", epoch=0, epochs=0)  # paused by an earlier run, and over now
        row = self.rows.setdefault(event.number, unseen)
        row.state, row.value = event.state.lower(), row.value if event.value is None else event.value
        if row.repeats is not None:
            return
        self.states[event.state] = self.states.get(event.state, 0) + 1
        ended_well = event.state in {"COMPLETE", "PRUNED"} and event.value is not None and event.broken is None
        if ended_well and (self.best is None or self.metric.better(event.value or 0.0, self.best[1])):
            self.best = (event.number, event.value or 0.0)

    def done(self) -> int:
        """Count the trials that count, earlier runs included."""
        before = self.began.done if self.began else 0
        return before + sum(self.states.get(state, 0) for state in ("COMPLETE", "PRUNED", "FAIL"))

    def status(self) -> str:
        """Return the line under the table."""
        if self.began is None:
            return "starting"
        running = sum(row.state == "running" for row in self.rows.values())
        parts = [f"{self.done()}/{self.began.trials} trials", f"{running} running"]
        parts += [f"{self.states.get(state, 0)} {state.lower()}" for state in ("PRUNED", "FAIL")]
        if self.best:
            parts.append(f"best {self.metric.name} {cell(self.best[1])} (trial {self.best[0]})")
        if self.ensemble:
            parts.append(f"ensemble {cell(self.ensemble[1])} ({self.ensemble[0]} members)")
        if left := self.left():
            parts.append(f"{left} left")
        return "  ".join(parts)

    def left(self) -> str | None:
        """Return the time left: what the trials at this pace need, at most what the timeout leaves."""
        if self.began is None:
            return None
        spent, ended = time.monotonic() - self.at, self.done() - self.began.done
        pace = spent / ended * (self.began.trials - self.done()) if ended else None
        limit = None if self.began.seconds is None else max(0.0, self.began.seconds - spent)
        known = [s for s in (pace, limit) if s is not None]
        return clock(min(known)) if known else None


@contextmanager
def watching(log: Path, begun: Callable[[], None] = lambda: None) -> Generator[Emit]:
    """Yield what a search emits its events to; a terminal keeps notes, as lines above the table.

    Args:
        log: file that every event is added to as a plain line with its time, whatever the screen shows.
        begun: called at the first event, before which nothing is shown and no file is there: a search that is refused
            leaves neither.
    """
    board, on_terminal = Board(), sys.stderr.isatty() and sys.stdout.isatty()
    with ExitStack() as stack:

        @cache
        def lines() -> TextIO:
            begun()
            if on_terminal:
                console = Console(stderr=True)
                stack.enter_context(Live(console=console, refresh_per_second=4, get_renderable=lambda: draw(board)))
            log.parent.mkdir(parents=True, exist_ok=True)
            return stack.enter_context(log.open("a", encoding="utf-8", errors="backslashreplace"))

        def emit(event: Event) -> None:
            board.take(event)
            text = line(board, event)
            lines().write(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {text}\n")
            lines().flush()
            if not on_terminal or isinstance(event, Note):
                say(text)

        yield emit


def line(board: Board, event: Event) -> str:
    """Return an event as one plain line."""
    match event:
        case SearchBegan():
            return f"search {event.study}: {event.done} of {event.trials} trials done, {event.concurrency} at a time"
        case TrialBegan():
            start = "" if event.repeats is None else f" (again trial {event.repeats}, with another seed)"
            start += f" (goes on after epoch {event.epoch})" if event.epoch else ""
            return f"trial {event.number} begins{start}: {settings(event.params)}"
        case EpochEnded():
            far = reached(event.epoch, event.epochs)
            return f"trial {event.number} epoch {far}: {cell(event.value)} ({event.seconds:.1f} s)"
        case TrialEnded():
            why = event.error or (event.broken and f"breaks {event.broken}")
            reason = f": {why}" if why else ""
            value = "" if event.value is None else f" {cell(event.value)}"
            more = "".join(f", {n} {cell(v)}" for n, v in event.objectives.items() if n != board.metric.name)
            return f"trial {event.number} {event.state.lower()}{value}{more}{reason} [{board.status()}]"
        case EnsembleScored():
            count = "1 trial" if len(event.members) == 1 else f"{len(event.members)} trials"
            which = f"ensemble of {count} ({', '.join(map(str, event.members))})"
            return f"{which}: {board.metric.name} {cell(event.ensemble)}, best single {cell(event.single)}"
        case Note():
            return event.text


def draw(board: Board) -> Group:
    """Return the live view: the running trials, the last ended ones, one status line."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("trial", justify="right")
    table.add_column("state")
    table.add_column("epoch", justify="right")
    table.add_column(board.metric.name, justify="right")
    table.add_column("settings", overflow="ellipsis", no_wrap=True)
    rows = list(board.rows.values())  # the search adds to them while this thread draws
    running = [row for row in rows if row.state == "running"]
    ended = [row for row in rows if row.state != "running"]
    room = max(0, SHOWN - len(running))
    for row in [*ended[len(ended) - min(room, len(ended)) :], *running]:
        mark = " *" if board.best and board.best[0] == row.number else ""
        far = reached(row.epoch, row.epochs)
        table.add_row(str(row.number), row.state, far, cell(row.value) + mark, Text(row.params))
    return Group(table, Text(board.status(), style="bold"))


def reached(epoch: int, epochs: int | None) -> str:
    """Return how far a trial is, of how many epochs where that is known."""
    return str(epoch) if epochs is None else f"{epoch}/{epochs}"


def clock(seconds: float) -> str:
    """Return a duration as people read it.

    >>> clock(3725)
    '1:02:05'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
