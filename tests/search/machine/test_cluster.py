import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ferhpo.errors import SearchError, UsageError
from ferhpo.search.machine.cluster import NOTE, end_leftovers, started


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


@pytest.mark.parametrize("error", [Exception("The current node timed out during startup.\nlogs"), RuntimeError("")])
def test_a_ray_that_does_not_start_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    def init(**_: object) -> None:
        raise error

    monkeypatch.setitem(
        sys.modules, "ray", SimpleNamespace(init=init, shutdown=lambda: None, is_initialized=lambda: False)
    )
    reason = str(error).splitlines()[0] if str(error) else "RuntimeError"
    message = rf"needs Ray to start on this machine, which it did not \({reason}\)"
    with pytest.raises(SearchError, match=message), started(tmp_path, address=None):
        pass


ALIVE, DEAD = {"Alive": True, "Resources": {"CPU": 2.0}}, {"Alive": False, "Resources": {}}


def test_a_search_begins_a_ray_of_its_own_beside_any_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[object] = []

    def init(**more: object) -> SimpleNamespace:
        given.append(more["address"])
        return SimpleNamespace(address_info={"session_dir": "x"})

    ray = SimpleNamespace(init=init, shutdown=lambda: None, is_initialized=lambda: False, nodes=lambda: [ALIVE, DEAD])
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:6379")
    with started(tmp_path, address=None) as nodes:
        assert nodes == [{"CPU": 2.0}]
    assert given == ["local"]


@pytest.mark.parametrize(("address", "reachable"), [(None, False), ("elsewhere:6379", True)])
def test_a_ray_of_this_machine_alone_cannot_be_reached_from_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str | None, reachable: bool
) -> None:
    constants = SimpleNamespace(ENABLE_RAY_CLUSTER=True)
    private = SimpleNamespace(ray_constants=constants, services=SimpleNamespace(ConsolePopen=subprocess.Popen))
    seen: list[bool] = []

    def init(**_: object) -> SimpleNamespace:
        seen.append(constants.ENABLE_RAY_CLUSTER)
        return SimpleNamespace(address_info={"session_dir": "x"})

    more = {"shutdown": lambda: None, "is_initialized": lambda: False, "nodes": lambda: [ALIVE]}
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init, _private=private, **more))
    with started(tmp_path, address=address):
        pass
    assert seen == [reachable]
    assert constants.ENABLE_RAY_CLUSTER
    assert private.services.ConsolePopen is subprocess.Popen


def test_a_ray_that_this_process_uses_already_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def shutdown() -> None:
        pytest.fail("ended somebody's Ray")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(shutdown=shutdown, is_initialized=lambda: True))
    with pytest.raises(UsageError, match=r"call ray\.shutdown\(\) first"), started(tmp_path, address=None):
        pass
