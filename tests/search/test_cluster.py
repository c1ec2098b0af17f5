import subprocess
import sys
from pathlib import Path

from ferhpo.search.cluster import NOTE, end_leftovers


def start(*words: str, log: Path | None = None) -> subprocess.Popen[bytes]:
    program = "import sys, time\nif len(sys.argv) > 2: log = open(sys.argv[2], 'w')\nprint(flush=True)\ntime.sleep(60)"
    command = [sys.executable, "-c", program, *words, *([str(log)] if log else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_only_processes_of_the_noted_ray_session_are_ended(tmp_path: Path) -> None:
    session = tmp_path / "session_1"
    session.mkdir()
    (tmp_path / NOTE).write_text(str(session))
    agent = start("ray::Agent", log=session / "agent.log")
    named = start(f"ray --session-dir={session}")
    other = start("ray::Agent", log=tmp_path / "other.log")
    try:
        assert end_leftovers(tmp_path) == 2
        assert agent.poll() is not None
        assert named.poll() is not None
        assert other.poll() is None
        assert not (tmp_path / NOTE).exists()
    finally:
        for process in (agent, named, other):
            process.kill()
            process.communicate()


def test_without_a_note_nothing_is_ended(tmp_path: Path) -> None:
    assert end_leftovers(tmp_path) == 0
