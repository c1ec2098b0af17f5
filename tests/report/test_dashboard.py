"""The dashboard shows a study as it grows and can do it no harm."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ferhpo.errors import FerhpoError, StudyError
from ferhpo.report.dashboard import REFUSED, listen, read_only, serve
from ferhpo.study.study import Study
from tests.report.made_up_study import Browse, make_study

WRITER = """
import sys, time
from pathlib import Path
sys.path.insert(0, {here!r})
from tests.report.made_up_study import make_study
make_study(Path({root!r}), lambda maker: [maker.trial("PRUNED" if i % 3 else "COMPLETE", 2) for i in range({trials})])
"""


def base(url: str) -> str:
    return url.partition("/dashboard")[0]


def ask(url: str, method: str = "GET", content: object = None) -> tuple[int, Any]:
    data = json.dumps(content).encode() if content is not None else None
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    root = tmp_path_factory.mktemp("dashboard")
    return make_study(root, lambda maker: [maker.trial("COMPLETE"), maker.trial("PRUNED", 1)])


@pytest.fixture(scope="module")
def url(study: Study) -> Iterator[str]:
    with listen(study, port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


def test_the_study_and_its_trials_are_shown(url: str) -> None:
    status, found = ask(f"{base(url)}/api/studies")
    assert (status, [s["study_name"] for s in found["study_summaries"]]) == (200, ["faces"])
    _, found = ask(f"{base(url)}/api/studies/1?after=0")
    assert [t["state"] for t in found["trials"]][:2] == ["Complete", "Pruned"]


def test_the_url_is_that_of_the_studys_page(url: str) -> None:
    with urllib.request.urlopen(url, timeout=30) as response:
        assert b"Optuna Dashboard" in response.read()
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith("/dashboard/studies/1")


def test_a_trial_that_is_written_meanwhile_is_shown(url: str, study: Study) -> None:
    def shown() -> int:
        # the one table that Optuna Dashboard does not keep for 2 s
        with urllib.request.urlopen(f"{base(url)}/csv/1", timeout=30) as response:
            return len(list(csv.reader(response.read().decode().splitlines()))) - 1

    before = shown()
    make_study(study.folder.parent, lambda maker: maker.trial("COMPLETE"))
    assert shown() == before + 1


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("DELETE", "/api/studies/1", {}),
        ("POST", "/api/studies", {"study_name": "x", "directions": ["maximize"]}),
        ("POST", "/api/studies/1/rename", {"study_name": "x"}),
        ("PUT", "/api/studies/1/note", {"version": 1, "body": "x"}),
        ("POST", "/api/trials/1/tell", {"state": "fail"}),
        ("POST", "/incompatible-rdb-schema", {}),
    ],
)
def test_a_write_is_refused_with_a_reason_and_changes_nothing(
    url: str, study: Study, method: str, path: str, content: object
) -> None:
    before = (study.states(), dict(study.attrs))
    assert ask(base(url) + path, method, content) == (403, {"reason": REFUSED})
    assert (study.states(), dict(study.attrs)) == before


def test_reads_pass_the_guard_and_writes_do_not() -> None:
    seen: list[str] = []

    def app(environ: dict[str, Any], start: object) -> list[bytes]:
        seen.append(environ["REQUEST_METHOD"])
        return [b"read"]

    guarded = read_only(app)
    for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE"):
        list(guarded({"REQUEST_METHOD": method}, lambda *_: None))
    assert seen == ["GET", "HEAD", "OPTIONS"]


@pytest.fixture
def _ctrl_c() -> Iterator[None]:
    """A shell that starts the tests in the background has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_ends_it_without_a_word(study: Study, capfd: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []

    def ready(url: str) -> None:
        said.append(url)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()

    serve(study, port=0, ready=ready)
    assert len(said) == 1
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    port = int(base(said[0]).rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2)


def test_a_taken_port_is_named_with_what_to_do(study: Study) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FerhpoError, match=rf"{port} is in use; give another with --port"):
            listen(study, port=port)


def test_a_port_that_is_none_is_refused(study: Study) -> None:
    with pytest.raises(FerhpoError, match=r"from 0 .* to 65535, got 70000"):
        listen(study, port=70000)


def test_a_host_that_is_not_ours_is_refused(study: Study) -> None:
    with pytest.raises(FerhpoError, match=r"must be able to listen at 192\.0\.2\.1:0"):
        listen(study, host="192.0.2.1", port=0)


def test_a_database_that_is_gone_frees_the_port_again(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (study.folder / "study.db").unlink()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(StudyError, match="must exist"):
        listen(study, port=port)
    socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Some regimes for parameter")  # few trials; `serve` ignores it as well
def test_a_search_in_another_process_runs_undisturbed_under_polling(url: str, study: Study) -> None:
    before = sum(study.states().values())
    code = WRITER.format(here=str(Path(__file__).parents[2]), root=str(study.folder.parent), trials=80)
    polls = 0
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as writer:
        while writer.poll() is None:
            for path in ("/api/studies", "/api/studies/1?after=0", "/api/studies/1/param_importances"):
                status, _ = ask(base(url) + path)
                assert status == 200
                polls += 1
        _, said = writer.communicate()
    assert (writer.returncode, said) == (0, "")
    assert polls > 20
    assert sum(study.states().values()) == before + 80
    assert study.states()["RUNNING"] == 0


@pytest.mark.browser
def test_a_browser_shows_the_dashboard(url: str, browse: Browse) -> None:
    document = browse(url)
    assert "NOW LOADING" not in document
    assert "faces" in document
