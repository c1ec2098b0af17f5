"""What every command has in common: help, exit codes, errors in one line, and a pinned list of options."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from ferhpo import __version__
from ferhpo.cli import study
from ferhpo.cli.main import app
from tests.cli.conftest import Run

STUDY, ROOT, STORAGE, FORMAT, DATA = (
    ("--study", "-s"),
    ("--root",),
    ("--storage",),
    ("--format", "-f"),
    ("--data", "-d"),
)
ENSEMBLE = ("--ensemble", "-e")
OPTIONS = {  # a new option has to be written here, and so to be wanted
    "ferhpo": [("--version",)],
    "ferhpo search": [
        STUDY,
        DATA,
        ("--trials", "-n"),
        ("--timeout",),
        STORAGE,
        ("--cpus-per-trial",),
        ("--gpus-per-trial",),
        ("--concurrency",),
        ("--address",),
        ("--max-failures",),
        ("--epochs-total",),
        ("--device-seconds",),
        ("--stop-when-flat",),
        ("--enqueue",),
        ("--from-study",),
        ("--confirm",),
        ("--seeds",),
        ROOT,
        FORMAT,
    ],
    "ferhpo ensemble": [
        STUDY,
        ("--top",),
        ("--method",),
        ("--max-members",),
        ("--max-params",),
        ("--max-latency-ms",),
        ("--calibrate",),
        ("--tta",),
        ("--soup",),
        ("--test",),
        ("--on",),
        DATA,
        ("--device",),
        STORAGE,
        ROOT,
        FORMAT,
    ],
    "ferhpo predict": [("images",), ENSEMBLE, STUDY, ("--device",), ROOT, FORMAT],
    "ferhpo export": [
        ("file",),
        ("--onnx",),
        ("--int8",),
        ("--card",),
        ENSEMBLE,
        STUDY,
        DATA,
        STORAGE,
        ROOT,
        FORMAT,
    ],
    "ferhpo distill": [
        ("--into",),
        ENSEMBLE,
        STUDY,
        DATA,
        ("--set",),
        ("--minutes",),
        ("--epochs",),
        ("--out",),
        ("--test",),
        ("--device",),
        STORAGE,
        ROOT,
        FORMAT,
    ],
    "ferhpo train": [
        STUDY,
        DATA,
        ("--set",),
        ("--minutes",),
        ("--epochs",),
        ("--out",),
        ("--test",),
        ("--device",),
        ROOT,
        FORMAT,
    ],
    "ferhpo compare": [
        ("systems",),
        ("--minutes-each",),
        ("--image-size",),
        DATA,
        ("--weights",),
        ("--device",),
        ("--out",),
        FORMAT,
    ],
    "ferhpo report": [STUDY, ("--out",), STORAGE, ROOT],
    "ferhpo dashboard": [STUDY, ("--port",), STORAGE, ROOT],
    "ferhpo models": [("pattern",), FORMAT],
    "ferhpo study": [],
    "ferhpo study list": [ROOT, FORMAT],
    "ferhpo study show": [("name",), STUDY, STORAGE, ROOT, FORMAT],
    "ferhpo study best": [("name",), STUDY, STORAGE, ROOT, FORMAT],
    "ferhpo data": [],
    "ferhpo data inspect": [DATA, STUDY, ("--size",), ("--html",), STORAGE, ROOT, FORMAT],
    "ferhpo data prepare": [
        DATA,
        STUDY,
        ("--out",),
        ("--size",),
        *(("--drop-leaks",), ("--drop-blank",), ("--align",)),
        ROOT,
        FORMAT,
    ],
}
COMMANDS = [path.split()[1:] for path in OPTIONS]


def commands(command: Any, path: str = "ferhpo") -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{path} {name}")


def test_the_options_of_all_commands_are_the_listed_ones() -> None:
    found = {path: [tuple(p.opts) for p in command.params] for path, command in commands(get_command(app))}
    assert found == OPTIONS


def test_every_option_says_what_it_is_for() -> None:
    for path, command in commands(get_command(app)):
        for parameter in command.params:
            assert getattr(parameter, "help", None), (path, parameter.name)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help(run: Run, words: list[str]) -> None:
    ran = run(*words, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert f"Usage: {' '.join(['ferhpo', *words])}" in ran.out
    assert run(*words, "-h").out == ran.out


@pytest.mark.parametrize("words", [[], ["study"], ["data"]], ids=" ".join)
def test_a_group_without_a_command_shows_its_help(run: Run, words: list[str]) -> None:
    ran = run(*words)
    assert ran.code == 2
    assert "Usage: ferhpo" in ran.out + ran.err


def test_the_version_is_printed(run: Run) -> None:
    ran = run("--version")
    assert (ran.code, ran.out) == (0, f"{__version__}\n")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["serach"], "serach"),
        (["study", "shwo"], "shwo"),
        (["search", "--trails", "3"], "--trails"),
        (["search", "-n", "x"], "--trials"),
        (["study", "list", "--format", "xml"], "--format"),
        (["predict"], "images"),
    ],
)
def test_what_cannot_be_understood_is_misuse_and_named(run: Run, words: list[str], named: str) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (2, "")
    assert named in ran.err
    assert "Traceback" not in ran.err


def test_an_expected_error_is_one_line_with_its_exit_code(run: Run) -> None:
    assert "a study must exist" in run("study", "show").failed(1)
    assert "--trials must be at least 1" in run("search", "--trials", 0).failed(2)


@pytest.mark.parametrize("words", [["--debug", "study", "show"], ["study", "show", "--debug"]])
def test_debug_gives_the_traceback(words: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ferhpo", *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.returncode == 1
    assert "Traceback" in ran.stderr
    assert "StudyError: a study must exist" in ran.stderr


def test_debug_keeps_the_exit_code_of_a_misuse(run: Run) -> None:
    ran = run("search", "--trials", 0, "--debug")
    assert ran.code == 2
    assert "UsageError: --trials must be at least 1" in ran.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/ro/run.lock"), "got 'Permission denied' for /ro/run.lock; check"),
        (OSError(28, "No space left on device"), "got 'No space left on device'; check"),
    ],
)
def test_what_a_disk_refuses_is_no_fault_of_ferhpo(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    def refused(*_args: object, **_kwargs: object) -> None:
        raise error

    monkeypatch.setattr(study, "open_study", refused)
    line = run("study", "show").failed(1)
    assert said in line
    assert "ferhpo itself failed" not in line


def broken(*_args: object, **_kwargs: object) -> None:
    msg = "no\nluck"
    raise ZeroDivisionError(msg)


def test_an_unexpected_exception_is_one_line_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "open_study", broken)
    line = run("study", "show").failed(1)
    assert "ferhpo itself failed: ZeroDivisionError: no luck; run again with --debug" in line


def test_an_unexpected_exception_has_its_traceback_under_debug(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "open_study", broken)
    with pytest.raises(ZeroDivisionError):
        run("study", "show", "--debug")


@pytest.mark.parametrize("error", [KeyboardInterrupt, typer.Abort])
def test_an_interruption_exits_with_130(run: Run, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    def interrupted(*_args: object, **_kwargs: object) -> None:
        raise error

    monkeypatch.setattr(study, "open_study", interrupted)
    ran = run("study", "show")
    assert (ran.code, ran.err) == (130, "interrupted\n")


def test_the_module_is_the_command() -> None:
    ran = subprocess.run([sys.executable, "-m", "ferhpo", "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"{__version__}\n"
