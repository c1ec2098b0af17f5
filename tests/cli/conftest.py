"""Runs `ferhpo` in this process, in an empty folder, and returns what a shell would see."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ferhpo.cli.main import main


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a command did: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout read as JSON."""
        return json.loads(self.out)

    def failed(self, code: int = 1) -> str:
        """Check that it failed as a user may see it, in one line and without a traceback; return the line."""
        assert self.code == code, self
        assert self.out == ""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self
        assert lines[0] == self.err.splitlines()[-1]
        assert "Traceback" not in self.err
        return lines[0]


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command line with `tmp_path` as the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*words: object) -> Ran:
        args = [str(word) for word in words]
        monkeypatch.setattr(sys, "argv", ["ferhpo", *args])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(args)
        out, err = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Ran(code=code, out=out, err=err)

    return call
