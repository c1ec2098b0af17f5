"""One writer, true states, and nothing lost when something is refused."""

import subprocess
import sys
from pathlib import Path

import fakes
import pytest
from conftest import open_writer

from ferhpo.errors import SpecError, StudyError
from ferhpo.space.config import TrialConfig
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.space.tries import Try, read_tries
from ferhpo.study.attrs import VERDICT
from ferhpo.study.study import Study
from ferhpo.study.writer import StudyWriter

SCRIPT = """
import sys
from pathlib import Path
from typing import Any
sys.path.insert(0, sys.argv[1])
import conftest, fakes
with conftest.open_writer(fakes.spec(), Path(sys.argv[2]), fakes.FakeData(folder=Path("nowhere"))) as writer:
    writer.ask(lambda config, number: config)
    print("open", flush=True)
    sys.stdin.read()
"""
TESTS = str(Path(__file__).parents[1])


def same(config: TrialConfig, _number: int) -> TrialConfig:
    return config


def record(epoch: int) -> dict[str, float]:
    return {"epoch": epoch, "seconds": 0.5}


def trying(*tries: str) -> StudySpec:
    return parse_spec(fakes.spec().text + "".join(f"[[try]]\n{one}\n" for one in tries), name="toy")


def test_a_second_search_is_refused_while_the_first_is_open(root: Path, data: fakes.FakeData) -> None:
    with open_writer(fakes.spec(), root, data):
        with pytest.raises(StudyError, match="a study takes one search at a time, and 'toy' has one now"):
            open_writer(fakes.spec(), root, data).__enter__()
        with open_writer(fakes.spec(name="another"), root, data):
            pass


def test_the_lock_is_free_after_a_search_ended_or_failed(root: Path, data: fakes.FakeData) -> None:
    with pytest.raises(RuntimeError), open_writer(fakes.spec(), root, data):
        raise RuntimeError
    with open_writer(fakes.spec(), root, data):
        pass


def test_the_lock_is_free_after_a_refusal(root: Path, data: fakes.FakeData) -> None:
    with open_writer(fakes.spec(), root, data):
        pass
    with pytest.raises(SpecError):
        open_writer(fakes.spec(epochs=9), root, data).__enter__()
    with open_writer(fakes.spec(), root, data):
        pass


@pytest.mark.timeout(60)
def test_a_search_of_another_process_holds_the_study_until_it_is_killed(root: Path, data: fakes.FakeData) -> None:
    command = [sys.executable, "-c", SCRIPT, TESTS, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(StudyError, match="one search at a time"):
            open_writer(fakes.spec(), root, data).__enter__()
        assert [t.state for t in Study.open(root, "toy").trials()] == ["RUNNING"]
        process.kill()
        process.wait()
    assert [t.state for t in Study.open(root, "toy").trials()] == ["INTERRUPTED"]
    with open_writer(fakes.spec(), root, data) as writer:
        assert [number for number, _ in writer.unsettled()] == [0]


def test_a_new_study_begins_with_the_default_trial(writer: StudyWriter) -> None:
    number, config, params = writer.ask(same)
    assert (number, params) == (0, {"lr": 0.1, "dropout": 0.2})
    assert (config.lr, config.arch) == (0.1, "resnet9s")
    assert writer.ask(same)[2] != params


def test_opening_a_study_again_queues_no_second_default_trial(root: Path, data: fakes.FakeData) -> None:
    for _ in range(3):
        with open_writer(fakes.spec(), root, data) as writer:
            assert writer.reader.states()["WAITING"] == 1


def asked(writer: StudyWriter, n: int) -> list[float]:
    return [writer.ask(same)[2]["lr"] for _ in range(n)]


def test_tries_run_after_the_default_trial_and_before_anything_sampled(root: Path, data: fakes.FakeData) -> None:
    with open_writer(trying("lr = 0.5", "lr = 0.6\ndropout = 0.1"), root, data) as writer:
        assert asked(writer, 3) == [0.1, 0.5, 0.6]
        assert writer.reader.trials()[2].params["dropout"] == 0.1
        assert writer.ask(same)[2]["lr"] not in {0.1, 0.5, 0.6}


def test_a_try_runs_once_whatever_happens_and_a_new_one_is_added(root: Path, data: fakes.FakeData) -> None:
    with open_writer(trying("lr = 0.5", "lr = 0.5"), root, data) as writer:
        assert asked(writer, 1) == [0.1]
    with open_writer(trying("lr = 0.7", "lr = 0.5"), root, data) as writer:
        assert asked(writer, 2) == [0.5, 0.7]
    changed = parse_spec(trying("lr = 0.5", "lr = 0.7").text.replace("default = 0.2", "default = 0.3"), name="toy")
    for _ in range(2):
        with open_writer(changed, root, data) as writer:
            assert writer.reader.states()["WAITING"] == 0, "the same try beside other defaults"


def test_a_try_that_a_trial_has_run_is_not_run_again(root: Path, data: fakes.FakeData) -> None:
    with open_writer(trying("lr = 0.1"), root, data) as writer:
        assert writer.reader.states()["WAITING"] == 1, "the default trial"


def test_a_try_given_once_begins_with_the_defaults_of_the_newest_study_file(root: Path, data: fakes.FakeData) -> None:
    spec = fakes.spec()
    with open_writer(spec, root, data, tries=[Try(given={"lr": 0.5}, params=spec.space.point({"lr": 0.5}))]):
        pass
    more = "augment = { low = 0.0, high = 1.0, default = 0.4 }\n"
    changed = parse_spec(spec.text.replace("default = 0.2", "default = 0.3") + more, name="toy")
    with open_writer(changed, root, data) as writer:
        writer.ask(same)
        assert writer.ask(same)[2] == {"lr": 0.5, "dropout": 0.3, "augment": 0.4}


def test_tries_given_beside_the_study_file_run_once(root: Path, data: fakes.FakeData, tmp_path: Path) -> None:
    path = tmp_path / "more.toml"
    path.write_text("[[try]]\nlr = 0.4\n")
    more = read_tries(path, fakes.spec().space)
    for waiting in (2, 2):
        with open_writer(fakes.spec(), root, data, tries=more) as writer:
            assert writer.reader.states()["WAITING"] == waiting


def test_the_whole_configuration_is_kept_from_the_first_second(writer: StudyWriter) -> None:
    number, config, _ = writer.ask(lambda c, n: c.with_params({"epochs": 3, "seed": 5 + n}))
    assert (config.epochs, config.seed) == (3, 5)
    assert writer.reader.trials()[number].config == config


@pytest.mark.parametrize("state", ["COMPLETE", "PRUNED"])
def test_a_trial_that_ended_has_the_last_value_and_its_seconds(writer: StudyWriter, state: str) -> None:
    number, _, _ = writer.ask(same)
    for epoch, value in ((1, 0.6), (2, 0.5)):
        writer.report(number, epoch, value, record(epoch))
    writer.finish(number, state, 0.5, {"host": "here"})
    trial = writer.reader.trials()[number]
    assert (trial.state, trial.value, dict(trial.values)) == (state, 0.5, {1: 0.6, 2: 0.5})
    assert (trial.attrs["seconds"], trial.attrs["host"]) == (1.0, "here")


def test_a_failed_trial_has_no_value_and_its_reason(writer: StudyWriter) -> None:
    number, _, _ = writer.ask(same)
    writer.report(number, 1, 0.6, record(1))
    writer.finish(number, "FAIL", None, {"error": "ValueError: no"})
    trial = writer.reader.trials()[number]
    assert (trial.state, trial.value, trial.attrs["error"]) == ("FAIL", None, "ValueError: no")
    assert writer.count() == 1


def test_an_epoch_reported_twice_keeps_its_first_value(writer: StudyWriter) -> None:
    number, _, _ = writer.ask(same)
    writer.report(number, 1, 0.6, record(1))
    writer.report(number, 1, 0.7, record(1))
    assert writer.values(number) == {1: 0.6}
    assert len(writer.reader.trials()[number].attrs["history"]) == 1


def test_a_trial_handed_back_waits_with_its_values_until_it_is_asked_for(root: Path, data: fakes.FakeData) -> None:
    with open_writer(fakes.spec(), root, data) as writer:
        number, config, _ = writer.ask(lambda c, _: c.with_params({"seed": 77}))
        writer.report(number, 1, 0.6, record(1))
        writer.hand_back(number)
        assert writer.reader.states()["WAITING"] == 1
        assert writer.count() == 0
    with open_writer(fakes.spec(), root, data) as writer:
        assert writer.waiting() == {number: 1}
        again = writer.ask(lambda c, _: c.with_params({"seed": 1}), number)
        assert again[:2] == (number, config), "its own number and configuration, seed included"
        assert writer.waiting() == {}
        writer.report(number, 2, 0.7, record(2))
        trial = writer.reader.trials()[number]
        assert dict(trial.values) == {1: 0.6, 2: 0.7}
        assert [row["epoch"] for row in trial.attrs["history"]] == [1, 2]


@pytest.mark.parametrize("epochs", [0, 1])
def test_no_sampler_is_asked_for_a_trial_that_goes_on(
    writer: StudyWriter, monkeypatch: pytest.MonkeyPatch, epochs: int
) -> None:
    number, config, params = writer.ask(same)
    if epochs:
        writer.report(number, 1, 0.6, record(1))
    writer.hand_back(number)
    monkeypatch.setattr(writer._study.sampler, "before_trial", lambda *_: 1 / 0)
    assert writer.ask(same, number if epochs else None) == (number, config, params)


def test_a_search_that_lost_its_lock_begins_no_trial_and_changes_none(
    writer: StudyWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, _, _ = writer.ask(same)
    writer.queue_repeats([number], [7])
    monkeypatch.setattr(writer, "_check_lock", lambda: 1 / 0)
    for change in (
        lambda: writer.ask(same),
        lambda: writer.begin_repeat(1),
        lambda: writer.report(number, 1, 0.6, record(1)),
        lambda: writer.finish(number, "FAIL", None, {"error": "no"}),
        lambda: writer.hand_back(number),
    ):
        with pytest.raises(ZeroDivisionError):
            change()
    assert [(t.state.name, t.intermediate_values) for t in writer.reader.optuna_study.trials] == [
        ("RUNNING", {}),
        ("WAITING", {}),
    ]


def test_a_trial_that_waits_is_not_taken_for_a_new_one(writer: StudyWriter) -> None:
    number, _, _ = writer.ask(lambda config, _: config)
    writer.report(number, 1, 0.6, record(1))
    writer.hand_back(number)
    assert writer.ask(lambda config, _: config)[0] != number
    assert writer.waiting() == {number: 1}


def test_a_trial_that_waits_may_end_and_its_seconds_are_all_counted(writer: StudyWriter) -> None:
    number, _, _ = writer.ask(lambda config, _: config)
    for epoch in (1, 2):
        writer.report(number, epoch, 0.6, record(epoch))
    writer.hand_back(number)
    writer.finish(number, "PRUNED", None, {})
    trial = writer.reader.trials()[number]
    assert (trial.state, trial.value) == ("PRUNED", 0.6)
    assert trial.attrs["seconds"] == pytest.approx(sum(row["seconds"] for row in trial.attrs["history"]))
    assert trial.attrs["seconds"] > 0


@pytest.mark.parametrize("begun", [False, True])
def test_a_trial_runs_without_the_end_that_a_killed_search_was_writing(
    writer: StudyWriter, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    number = writer.upcoming()
    if begun:
        writer.ask(same)
    with monkeypatch.context() as patch:
        patch.setattr(writer._study, "tell", killed)
        with pytest.raises(KeyboardInterrupt):
            writer.finish(number, "FAIL", None, dict.fromkeys(VERDICT, "of that end"))
    writer.hand_back(number)
    assert writer.ask(same)[0] == number
    assert not writer.marks(number).keys() & set(VERDICT)


@pytest.mark.parametrize("waiting", [False, True])
def test_a_trial_that_cannot_go_on_fails_without_counting_and_is_queued_once(
    writer: StudyWriter, waiting: bool
) -> None:
    number, _, params = writer.ask(same)
    writer.report(number, 1, 0.6, record(1))
    if waiting:
        writer.hand_back(number)
    writer.requeue(number, "its state is gone")
    failed = writer.reader.trials()[number]
    assert (failed.state, failed.attrs["interrupted"], failed.attrs["error"]) == ("FAIL", True, "its state is gone")
    assert writer.count() == 0
    again, _, params_again = writer.ask(same)
    assert (again, params_again) == (number + 1, params)


def test_a_kill_between_queueing_and_failing_queues_nothing_twice(
    writer: StudyWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, _, _ = writer.ask(same)

    def killed(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):  # noqa: PT012
        patch.setattr(writer, "finish", killed)
        writer.requeue(number, "interrupted")
    writer.requeue(number, "interrupted")
    assert [t.state for t in writer.reader.trials()] == ["FAIL", "WAITING"]


def test_unsettled_are_running_trials_and_waiting_ones_that_had_begun(writer: StudyWriter) -> None:
    first, second = writer.ask(same)[0], writer.ask(same)[0]
    writer.report(first, 1, 0.6, record(1))
    writer.hand_back(first)
    writer._study.enqueue_trial({"lr": 0.2, "dropout": 0.1})
    assert writer.unsettled() == [(first, {1: 0.6}), (second, {})]
    writer.hand_back(second)
    assert [number for number, _ in writer.unsettled()] == [first, second]
    assert (writer.waiting(), writer.queued()) == ({first: 1}, 2)


def test_no_password_is_written_to_disk(root: Path, data: fakes.FakeData) -> None:
    url = "postgresql+psycopg://me:s3cr3t@127.0.0.1:1/studies"
    with pytest.raises(StudyError) as caught:
        open_writer(fakes.spec(), root, data, storage=url).__enter__()
    assert "s3cr3t" not in str(caught.value)
    assert all(b"s3cr3t" not in p.read_bytes() for p in root.rglob("*") if p.is_file())
