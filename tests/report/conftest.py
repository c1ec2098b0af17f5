"""Made-up studies to read, and a browser to look with."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ferhpo.study.study import Study
from tests.report.made_up_study import Browse, every_state, make_study, write_ensemble


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study with trials in every state and an ensemble; trial 16 is the best, with 0.95."""
    study = make_study(tmp_path_factory.mktemp("full"), every_state)
    write_ensemble(study.folder, test=True)
    study.record_opening("ferhpo ensemble --test", "0.1.0")
    return study


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that has one queued trial and has run none."""
    return make_study(tmp_path_factory.mktemp("empty"))


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Open a page in Chromium without a network and return the document it becomes."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on PATH")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    offline = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    more = [
        "--disable-background-networking",
        "--disable-component-update",
        f"--user-data-dir={tmp_path / 'browser'}",
        "--virtual-time-budget=10000",
        offline,
    ]

    def dump(url: str) -> str:
        command = [chromium, *flags.split(), *more, "--dump-dom", url]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout

    return dump
