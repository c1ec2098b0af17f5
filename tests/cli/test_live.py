"""The live view is a fold of events: one table on a terminal, plain lines elsewhere, and always a log."""

import io
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from rich.console import Console

from ferhpo.cli.live import SHOWN, Board, clock, draw, line, watching
from ferhpo.search.events import EnsembleScored, EpochEnded, Event, Note, SearchBegan, TrialBegan, TrialEnded


def began(*, done: int = 0, trials: int = 10, metric: str = "accuracy", **kwargs: object) -> SearchBegan:
    given = {"seconds": None, "best": None, "concurrency": 2} | kwargs
    return SearchBegan(study="toy", metric=metric, trials=trials, done=done, **given)  # pyright: ignore[reportArgumentType]


def trial(number: int, epoch: int = 0) -> TrialBegan:
    return TrialBegan(number=number, params={"lr": 0.1}, epoch=epoch, epochs=3)


def epoch(number: int, of: int, value: float) -> EpochEnded:
    return EpochEnded(number=number, epoch=of, epochs=3, value=value, seconds=1.5)


def folded(*events: Event) -> Board:
    board = Board()
    for event in events:
        board.take(event)
    return board


def drawn(board: Board) -> str:
    out = io.StringIO()
    Console(file=out, width=150).print(draw(board))
    return out.getvalue()


def test_a_trial_is_followed_from_begin_to_end() -> None:
    board = folded(began(), trial(0), epoch(0, 1, 0.4))
    assert (board.rows[0].state, board.rows[0].epoch, board.rows[0].value) == ("running", 1, 0.4)
    board.take(TrialEnded(number=0, state="COMPLETE", value=0.5))
    assert (board.rows[0].state, board.rows[0].value, board.best) == ("complete", 0.5, (0, 0.5))


def test_a_trial_that_an_earlier_run_paused_may_end() -> None:
    board = folded(began(), TrialEnded(number=3, state="PRUNED", value=0.3))
    assert (board.rows[3].state, board.done()) == ("pruned", 1)
    assert "3" in drawn(board)


def test_a_paused_trial_goes_on_in_its_own_row() -> None:
    paused = TrialEnded(number=0, state="PAUSED", value=None)
    board = folded(began(), trial(0), epoch(0, 1, 0.4), paused)
    assert (board.rows[0].state, board.done()) == ("paused", 0)
    board.take(trial(0, epoch=1))
    assert (board.rows[0].state, board.rows[0].epoch) == ("running", 1)


def test_a_failed_trial_keeps_the_last_value_that_was_seen() -> None:
    board = folded(began(), trial(0), epoch(0, 1, 0.4), TrialEnded(number=0, state="FAIL", value=None, error="x"))
    assert (board.rows[0].state, board.rows[0].value, board.best) == ("fail", 0.4, None)


def test_the_best_is_the_highest_or_the_lowest_as_the_metric_wants() -> None:
    ends = [TrialEnded(number=n, state="COMPLETE", value=v) for n, v in enumerate((0.5, 0.7, 0.0))]
    assert folded(began(), trial(0), trial(1), trial(2), *ends).best == (1, 0.7)
    assert folded(began(metric="nll"), trial(0), trial(1), trial(2), *ends).best == (2, 0.0)


def test_the_best_of_earlier_runs_stands_until_it_is_beaten() -> None:
    board = folded(began(done=3, best=(1, 0.6)), trial(4), TrialEnded(number=4, state="COMPLETE", value=0.5))
    assert board.best == (1, 0.6)


def test_the_running_ensemble_stands_beside_the_best() -> None:
    board = folded(began(done=3, best=(1, 0.6), ensemble=(2, 0.61)))
    assert "ensemble 0.61 (2 members)" in board.status()
    board.take(EnsembleScored(trials=4, ensemble=0.65, single=0.62, members=(0, 3, 2)))
    assert "ensemble 0.65 (3 members)" in board.status()
    assert "ensemble" not in folded(began()).status()


def test_trials_that_count_are_counted_with_those_of_earlier_runs() -> None:
    ends = [TrialEnded(number=n, state=s, value=None) for n, s in enumerate(("COMPLETE", "PRUNED", "FAIL", "WAITING"))]
    board = folded(began(done=3), *(trial(n) for n in range(5)), *ends)
    assert board.done() == 6
    assert board.status().startswith("6/10 trials  1 running  1 pruned  1 fail")


def test_before_the_search_began_the_status_says_so() -> None:
    assert Board().status() == "starting"
    assert Board().left() is None


def test_the_time_left_follows_from_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    board = folded(began(trials=4), trial(0), TrialEnded(number=0, state="COMPLETE", value=0.5))
    monkeypatch.setattr(time, "monotonic", lambda: board.at + 10)
    assert board.left() == "0:30"


def test_the_time_left_is_at_most_what_the_timeout_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    board = folded(began(trials=400, seconds=60.0), trial(0))
    monkeypatch.setattr(time, "monotonic", lambda: board.at + 15)
    assert board.left() == "0:45"
    monkeypatch.setattr(time, "monotonic", lambda: board.at + 100)
    assert board.left() == "0:00"


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (began(done=2), "search toy: 2 of 10 trials done, 2 at a time"),
        (trial(0), "trial 0 begins: lr=0.1"),
        (trial(0, epoch=2), "trial 0 begins (goes on after epoch 2): lr=0.1"),
        (epoch(0, 1, 0.4), "trial 0 epoch 1/3: 0.4 (1.5 s)"),
        (Note(text="a note"), "a note"),
        (
            EnsembleScored(trials=4, ensemble=0.65, single=0.62, members=(0, 3)),
            "ensemble of 2 trials (0, 3): accuracy 0.65, best single 0.62",
        ),
    ],
)
def test_an_event_is_one_plain_line(event: Event, text: str) -> None:
    assert line(folded(began(), trial(0)), event) == text


def test_the_end_of_a_trial_is_a_line_with_its_reason_and_the_status() -> None:
    board = folded(began(), trial(0))
    event = TrialEnded(number=0, state="FAIL", value=None, error="ValueError: no")
    board.take(event)
    assert line(board, event).startswith("trial 0 fail: ValueError: no [1/10 trials")


def test_the_table_shows_settings_epoch_value_and_the_best() -> None:
    text = drawn(
        folded(began(), trial(0), epoch(0, 3, 0.5), TrialEnded(number=0, state="COMPLETE", value=0.5), trial(1))
    )
    assert "accuracy" in text
    assert any(row.split() == ["0", "complete", "3/3", "0.5", "*", "lr=0.1"] for row in text.splitlines())
    assert any(row.split() == ["1", "running", "0/3", "lr=0.1"] for row in text.splitlines())
    assert "1/10 trials" in text


def test_the_table_is_drawn_before_anything_happened() -> None:
    assert "starting" in drawn(Board())


@pytest.mark.parametrize("running", [0, 3, SHOWN, SHOWN + 3])
def test_running_trials_are_always_shown_and_then_the_last_that_ended(running: int) -> None:
    board = folded(began(), *(trial(n) for n in range(40)))
    for number in range(40 - running):
        board.take(TrialEnded(number=number, state="PRUNED", value=0.1))
    rows = [row.split()[0] for row in drawn(board).splitlines() if "lr=0.1" in row]
    assert rows == [str(n) for n in range(40 - max(SHOWN, running), 40)]


def test_settings_with_brackets_are_shown_as_they_are() -> None:
    event = TrialBegan(number=0, params={"weights": "[red]a[/red]"}, epoch=0, epochs=3)
    assert "[red]a[/red]" in drawn(folded(began(), event))


def test_without_a_terminal_events_are_lines_on_stderr_and_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "logs" / "search.log"
    for number in (0, 1):
        with watching(log) as emit:
            emit(began())
            emit(trial(number))
    out, err = capsys.readouterr()
    assert out == ""
    lines = ["search toy: 0 of 10 trials done, 2 at a time", "trial 0 begins: lr=0.1"]
    assert err.splitlines()[:2] == lines
    kept = log.read_text().splitlines()
    assert [text.split(" ", 1)[1] for text in kept[:2]] == lines
    assert len(kept) == 4, "a later run adds to it"


def test_nothing_is_there_before_the_first_event(tmp_path: Path) -> None:
    log, began_at = tmp_path / "logs" / "search.log", []
    with watching(log, begun=lambda: began_at.append(log.exists())) as emit:
        assert not log.parent.exists()
        emit(Note(text="one"))
        emit(Note(text="two"))
    assert began_at == [False]


def test_a_terminal_keeps_notes_above_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr("ferhpo.cli.live.Live", lambda **_: nullcontext())
    monkeypatch.setattr("ferhpo.cli.live.say", said.append)
    with watching(tmp_path / "search.log") as emit:
        for event in (Note(text="data: faces"), began(), trial(0)):
            emit(event)
    assert said == ["data: faces"]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3725, "1:02:05")])
def test_a_duration_is_shown_as_people_read_it(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_epochs_of_trials_that_a_time_ends_are_counted_alone() -> None:
    event = EpochEnded(number=0, epoch=9, epochs=None, value=0.5, seconds=1.5)
    assert line(Board(), event) == "trial 0 epoch 9: 0.5 (1.5 s)"
