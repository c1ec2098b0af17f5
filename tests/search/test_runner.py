import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import fakes
import psutil
import pytest
from conftest import open_writer, run_session

from ferhpo import _layout
from ferhpo.errors import SpecError
from ferhpo.search.budget import Limits
from ferhpo.search.events import Note
from ferhpo.search.runner import advice, check_architectures, check_choice, check_teacher, search
from ferhpo.search.session import Session
from ferhpo.search.under_way import LOST
from ferhpo.space.spec import parse_spec
from ferhpo.study.study import Study

SCRIPT = Path(__file__).with_name("run_search.py")
MARK = "FERHPO_TESTS"  # in the environment of all processes that these tests start


def start(root: Path, trials: int, epochs: int, pause: float, *storage: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), str(root), str(trials), str(epochs), str(pause), *storage]
    marked = {**os.environ, MARK: str(os.getpid())}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=marked, process_group=0
    )


def wait_for(process: subprocess.Popen[str], pattern: str) -> None:
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if re.search(pattern, line):
            return
    process.wait()
    pytest.fail(f"the search ended without printing {pattern}:\n{seen}")


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=200)
    return output


def ray_processes() -> set[int]:
    """Return Ray's processes that these tests started; somebody else's Ray may run beside them."""
    words, found = ("ray::", "raylet", "gcs_server"), set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended meanwhile, or is not ours
            if process.environ().get(MARK) == str(os.getpid()) and any(w in " ".join(process.cmdline()) for w in words):
                found.add(process.pid)
    return found


def kill(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    process.communicate()


def check_whole(root: Path, trials: int) -> None:
    """No trial lost, none run twice, nothing RUNNING, the total exact, value and files of one epoch."""
    study = Study.open(root, "toy")
    found = study.trials()
    assert study.states()["RUNNING"] == 0
    assert sum(t.counts for t in found) == trials
    assert len({str(t.params) for t in found}) == len(found), "no configuration ran twice"
    for trial in study.candidates():
        assert trial.checkpoint is not None
        assert trial.checkpoint == _layout.last_epoch(trial.checkpoint.parent)
        assert trial.value == trial.values[max(trial.values)]
        assert list(trial.values) == list(range(1, max(trial.values) + 1))


def test_an_unknown_architecture_is_refused_with_its_line() -> None:
    spec = parse_spec('[space]\narch = "resnet8s"\n', name="x", path="x.toml")
    with pytest.raises(SpecError, match=r"x.toml:2: an architecture .*did you mean 'resnet9s'"):
        check_architectures(spec)


@pytest.mark.parametrize("distill", ["0.5", "{ low = 0.0, high = 1.0, default = 0.0 }"])
def test_trials_that_would_need_a_teacher_are_refused_with_their_line(distill: str) -> None:
    with pytest.raises(SpecError, match=r"x.toml:2: a search has no teacher .* run `ferhpo distill`"):
        check_teacher(parse_spec(f"[space]\ndistill = {distill}\n", name="x", path="x.toml"))
    check_teacher(parse_spec("[space]\ndistill = 0.0\n", name="x"))


@pytest.mark.parametrize(
    "space",
    [
        "",
        '[space]\narch = "vgg8"\n',
        '[space]\narch = { choices = ["vgg8"], default = "vgg8" }\n',
        '[space]\nloss = "focal"\nsmoothing = { low = 0.0, high = 0.2, default = 0.1 }\n',
    ],
)
def test_a_space_with_nothing_to_choose_is_refused_unless_one_trial_is_asked_for(space: str) -> None:
    spec = parse_spec(space, name="x", path="x.toml")
    with pytest.raises(SpecError, match=r"x\.toml.* a search needs something to choose"):
        check_choice(spec, 2)
    check_choice(spec, 1)


def test_what_a_study_file_asks_for_in_vain_is_said() -> None:
    ranges = "lr = { low = 0.1, high = 1.0, default = 0.1 }\nsmoothing = { low = 0.0, high = 0.2, default = 0.1 }"
    spec = parse_spec(f'[scheduler]\ngrace = 9\n[space]\npretrained = true\nloss = "focal"\n{ranges}\n', name="x")
    smoothing, pretrained, stops = advice(spec)
    assert smoothing == "smoothing is not searched: no combination of the other settings of [space] makes it apply"
    assert pretrained == "pretrained has no effect: no combination of the other settings of [space] makes it apply"
    assert stops.startswith("asha stops no trial")
    both = 'arch = { choices = ["resnet9s", "timm:resnet18"], default = "resnet9s" }\npretrained = true'
    assert advice(parse_spec(f"[space]\n{both}\n{ranges}\n", name="x")) == []


def test_what_waits_is_said_to_wait_for_a_larger_total_only_where_the_total_is_reached(
    root: Path, data: fakes.FakeData
) -> None:
    spec, notes = fakes.spec(epochs=3, scheduler="none"), []
    with open_writer(spec, root, data) as writer:
        run_session(Session(writer, Limits(trials=9), emit=lambda _: None), data, epochs=5)  # dies in the second trial
    for limits in (Limits(trials=9, epochs=1), Limits(trials=1)):  # over at once, without Ray
        search(spec, data, root, emit=notes.append, limits=limits)  # pyright: ignore[reportArgumentType]
    waits = [note.text for note in notes if isinstance(note, Note) and "wait:" in note.text]
    assert waits == ["1 unfinished trials wait: the study has its total of 1; raise --trials"]


@pytest.mark.ray
@pytest.mark.timeout(400)
def test_a_search_killed_at_random_moments_loses_nothing_and_leaves_no_process(root: Path) -> None:
    rng = random.Random(0)
    for _ in range(2):
        process = start(root, 40, 4, 0.3)
        wait_for(process, "EpochEnded")
        time.sleep(rng.uniform(0.0, 4.0))
        kill(process, signal.SIGKILL)
    last = start(root, 40, 4, 0.0)
    output = finish(last)
    assert last.returncode == 0, output
    check_whole(root, 40)
    assert not ray_processes()


@pytest.mark.ray
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_ends_after_the_running_epochs_and_the_same_command_goes_on(
    root: Path, number: signal.Signals
) -> None:
    process = start(root, 20, 4, 0.4)
    wait_for(process, "EpochEnded")
    os.killpg(process.pid, number)  # as a terminal's Ctrl-C, `timeout` and `kill %1` send it
    output = finish(process)
    assert process.returncode == 130, output
    study = Study.open(root, "toy")
    assert study.states()["RUNNING"] == 0
    assert any(t.state == "WAITING" and t.values for t in study.trials())
    again = start(root, 20, 4, 0.0)
    output = finish(again)
    assert again.returncode == 0, output
    check_whole(root, 20)


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_ctrl_c_before_a_worker_is_there_does_not_wait_for_its_first_epoch(root: Path) -> None:
    process = start(root, 4, 2, 30.0)
    wait_for(process, "TrialBegan")
    process.send_signal(signal.SIGINT)
    output = finish(process)
    assert process.returncode == 130, output
    assert "EpochEnded" not in output
    assert "Last result" not in output, "Tune said something"
    assert not ray_processes()
    found = Study.open(root, "toy").trials()
    assert found
    assert all(t.state == "WAITING" and not t.values for t in found)


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_nothing_of_a_search_can_be_reached_from_another_machine(root: Path) -> None:
    process = start(root, 2, 2, 5.0)
    wait_for(process, "EpochEnded")
    sockets = [s for pid in (process.pid, *ray_processes()) for s in psutil.Process(pid).net_connections("inet")]
    listening = {s.laddr.ip for s in sockets if s.status == psutil.CONN_LISTEN}
    kill(process, signal.SIGKILL)
    assert listening
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_two_ctrl_c_end_at_once_and_lose_no_epoch_that_was_saved(root: Path) -> None:
    process = start(root, 12, 4, 0.6)
    wait_for(process, "EpochEnded")
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output = finish(process)
    assert process.returncode == 130, output
    again = start(root, 12, 4, 0.0)
    output = finish(again)
    assert again.returncode == 0, output
    assert "its state is gone" not in output
    check_whole(root, 12)


@pytest.mark.ray
@pytest.mark.timeout(300)
@pytest.mark.parametrize("killed", [True, False])
def test_a_trial_whose_worker_dies_or_has_lost_its_gpu_goes_on_and_so_does_the_search(root: Path, killed: bool) -> None:
    process = start(root, 5, 4, 1.0)
    wait_for(process, "EpochEnded")
    if killed:
        titles = ("ray::_Inner", "ray::TrialActor")  # at work, and between two epochs
        workers = psutil.Process(process.pid).children(recursive=True)
        next(p for p in workers if " ".join(p.cmdline()).startswith(titles)).kill()
    else:
        (root / "toy" / fakes.NO_GPU).touch()
    output = finish(process)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    study = Study.open(root, "toy")
    assert (
        "its worker process died" if killed else "its worker had to end (RuntimeError: CUDA error: an ill"
    ) in output
    assert not any("its worker" in t.attrs.get("error", "") for t in study.trials())
    assert any(LOST in t.attrs for t in study.trials())
    check_whole(root, 5)


@pytest.mark.ray
@pytest.mark.postgres
@pytest.mark.timeout(300)
def test_a_search_on_postgresql_keeps_its_study_there(root: Path) -> None:
    url = os.environ.get("TEST_POSTGRES_URL")
    if not url:
        pytest.skip("TEST_POSTGRES_URL names no PostgreSQL database; .ci/run starts one")
    process = start(root, 6, 3, 0.0, url)
    output = finish(process)
    assert process.returncode == 0, output
    assert not (root / "toy" / "study.db").exists()
    study = Study.open(root, "toy", url)
    assert sum(t.counts for t in study.trials()) == 6
    assert fakes.SPEC.split()[0] in study.attrs["spec"]
