"""`ferhpo study`: what other programs read keeps its keys, and what people read is there."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fakes
import pytest

from ferhpo import _layout
from ferhpo.search import costs
from ferhpo.search.budget import Limits
from ferhpo.search.confirm import Confirm, Confirmation
from ferhpo.search.session import Session
from ferhpo.study import store
from ferhpo.study.study import Study
from tests.cli.conftest import Run
from tests.conftest import open_writer, run_session

Make = Callable[..., Study]
KEYS = {"name", "directions", "storage", "states", "n_trials", "best", "test_openings"}
STATES = ["COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING"]


def test_show_prints_the_promised_keys_and_nothing_else_on_stdout(study: Make, run: Run) -> None:
    opened = study(6)
    opened.record_opening("ferhpo ensemble --test", "0.1.0")
    ran = run("study", "show", "--study", "toy", "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    found = ran.json
    best = opened.best()
    assert best is not None
    assert found.keys() >= KEYS
    assert (found["name"], found["directions"], found["n_trials"]) == ("toy", ["maximize"], 6)
    assert list(found["states"]) == STATES
    assert sum(found["states"].values()) == 6
    assert found["best"] == {"number": best.number, "value": best.value, "params": dict(best.params)}
    assert [o["command"] for o in found["test_openings"]] == ["ferhpo ensemble --test"]
    assert found["ensemble"]["members"] == opened.standing["members"]
    assert [found["ensemble"]["value"], found["ensemble"]["single"]] == opened.standing["points"][-1][1:]
    assert "cross-fitted, best single 0." in run("study", "show", "--study", "toy").out


def test_show_tells_the_running_ensemble_from_the_one_that_was_made(study: Make, run: Run) -> None:
    opened = study(6)
    assert run("study", "show", "toy", "-f", "json").json["built"] is None
    assert "\nensemble " not in run("study", "show", "toy").out
    made = run("ensemble", "--study", "toy", "--top", 3, "--method", "weighted", "-f", "json").json
    found = run("study", "show", "toy", "-f", "json").json["built"]
    value = next(point["value"] for point in made["front"] if point["kind"] == "chosen")
    assert found == {
        "method": "weighted",
        "metric": "accuracy",
        "value": value,
        "members": [m["number"] for m in made["members"]],
    }
    out = run("study", "show", "toy").out
    assert f"weighted of trials {', '.join(map(str, found['members']))}: accuracy {value:.4f} cross-fitted" in out
    assert "running ensemble" in out
    index = opened.folder / _layout.ENSEMBLE / _layout.INDEX
    index.write_text("{")
    assert "ensemble.json cannot be read" in run("study", "show", "toy", "-f", "json").json["built"]["problem"]
    assert run("study", "show", "toy").code == 0


@pytest.mark.parametrize("command", ["show", "best"])
def test_a_study_is_named_with_or_without_the_option(command: str, study: Make, run: Run) -> None:
    study(3)
    assert run("study", command, "toy").out == run("study", command, "--study", "toy").out
    two = run("study", command, "toy", "--study", "other")
    assert two.code == 2
    assert "a command shows one study, got 'toy' and --study 'other'; leave one out" in two.err


def test_a_front_and_broken_constraints_are_shown(
    root: Path, data: fakes.FakeData, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "of_net", fakes.net_costs)
    two = fakes.spec(head='metric = ["accuracy", "params"]\nconstraints = ["params <= 700"]\n', scheduler="none")
    with open_writer(two, root, data) as writer:
        writer.keep_validation(data.labels, data.groups)
        run_session(Session(writer, Limits(trials=8), emit=lambda _: None), data)
    opened = Study.open(root, "toy")
    found = run("study", "show", "-s", "toy", "-f", "json").json
    assert (found["objectives"], found["constraints"]) == (["accuracy", "params"], ["params <= 700"])
    assert [t["number"] for t in found["front"]] == [t.number for t in opened.front()]
    assert found["front"][0]["objectives"].keys() == {"accuracy", "params"}
    assert found["best"]["number"] == found["front"][0]["number"]
    shown = run("study", "show", "-s", "toy").out
    assert "Pareto front" in shown
    assert f"params <= 700 (broken by {found['infeasible']} of 8 trials)" in shown
    assert "breaks params <= 700, got" in shown
    assert "params" in run("study", "best", "-s", "toy").out
    assert [row["best"] for row in run("study", "list", "-f", "json").json] == [
        {"number": found["best"]["number"], "value": found["best"]["value"]}
    ]


def test_a_confirmation_is_shown_beside_the_search(study: Make, root: Path, data: fakes.FakeData, run: Run) -> None:
    opened = study(6)
    with open_writer(fakes.spec(), root, data) as writer:
        again = Confirmation(writer, Confirm(best=1, seeds=2), Limits(trials=6), emit=lambda _: None)
        run_session(again, data)
    found = run("study", "show", "-s", "toy", "-f", "json").json
    best = opened.best()
    assert best is not None
    assert best.value is not None
    assert found["n_trials"] == 6
    (one,) = found["confirmed"]
    assert (one["number"], one["searched"], one["seeds"], one["std"]) == (best.number, best.value, 2, 0)
    shown = run("study", "show", "-s", "toy").out
    assert f"trial {best.number}: accuracy {one['mean']:.4f} +- 0.0000 (2 seeds; searched {best.value:.4f})" in shown


def test_a_study_without_a_finished_trial_has_no_best(root: Path, data: fakes.FakeData, run: Run) -> None:
    with open_writer(fakes.spec(), root, data):
        pass
    found = run("study", "show", "-s", "toy", "-f", "json").json
    assert found["best"] is None
    assert found["states"]["WAITING"] == 1
    assert "study 'toy' has none yet; run `ferhpo search`" in run("study", "best", "-s", "toy").failed(1)


def test_the_storage_url_opens_from_another_folder(study: Make, run: Run, tmp_path: Path) -> None:
    study(3)
    url = run("study", "show", "--study", "toy", "--format", "json").json["storage"]
    program = "import sys, optuna; print(len(optuna.load_study(study_name='toy', storage=sys.argv[1]).trials))"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, "-c", program, url]
    assert subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=True).stdout == "3\n"


def test_show_as_a_table_has_every_trial_and_the_best(study: Make, run: Run) -> None:
    opened = study(6)
    best = opened.best()
    assert best is not None
    ran = run("study", "show", "--study", "toy")
    assert ran.code == 0
    rows = [line.split() for line in ran.out.splitlines()]
    assert [row[:2] for row in rows[1:7]] == [[str(t.number), t.state.lower()] for t in opened.trials()]
    assert f"trial {best.number}: accuracy {best.value:.4f}" in ran.out
    assert "sealed" in ran.out


def test_show_says_every_opening_and_what_was_found_elsewhere(study: Make, root: Path, run: Run) -> None:
    study(2).record_opening("x", "0.1.0")
    found = Study.open(root, "toy")
    found.record_elsewhere({"date": "today", "source": "/rafdb", "command": "y", "ensemble": {"accuracy": 0.5}})
    shown = run("study", "show", "--study", "toy").out
    assert "opened 1 times" in shown
    assert "by x" in shown
    assert "today on /rafdb, accuracy 0.5000 by y" in shown


def test_interrupted_trials_are_shown_as_such(root: Path, data: fakes.FakeData, run: Run) -> None:
    with open_writer(fakes.spec(), root, data) as writer:
        writer.ask(lambda config, _: config)
        assert run("study", "show", "-s", "toy", "-f", "json").json["interrupted"] == 0
    assert run("study", "show", "-s", "toy", "-f", "json").json["interrupted"] == 1
    ran = run("study", "show", "-s", "toy")
    assert "interrupted" in ran.out
    assert "`ferhpo search` goes on with them" in ran.err


def test_why_a_trial_failed_is_shown(root: Path, data: fakes.FakeData, run: Run) -> None:
    with open_writer(fakes.spec(), root, data) as writer:
        number, _, _ = writer.ask(lambda config, _: config)
        writer.finish(number, "FAIL", None, {"error": "ValueError: [bold] lr is too high"})
    assert "ValueError: [bold] lr is too high" in run("study", "show", "-s", "toy").out


def test_robust_accuracy_is_shown_where_a_trial_has_one(root: Path, data: fakes.FakeData, run: Run) -> None:
    with open_writer(fakes.spec(), root, data) as writer:
        number, *_ = writer.ask(lambda config, _: config)
        writer.finish(number, "COMPLETE", 0.6, {"figures": {"accuracy": 0.6}})
        assert "robust accuracy" not in run("study", "show", "-s", "toy").out
        number, *_ = writer.ask(lambda config, _: config)
        writer.finish(number, "COMPLETE", 0.5, {"figures": {"accuracy": 0.5, "robust_accuracy": 0.4321}})
    shown = run("study", "show", "-s", "toy").out
    assert "robust accuracy" in shown
    assert "0.4321" in shown


def test_best_prints_the_whole_configuration(study: Make, run: Run) -> None:
    best = study(4).best()
    assert best is not None
    assert best.config is not None
    found = run("study", "best", "--study", "toy", "--format", "json").json
    assert (found["number"], found["value"], found["state"]) == (best.number, best.value, "COMPLETE")
    assert found["config"] == best.config.params()
    table = run("study", "best", "--study", "toy").out
    assert all(name in table for name in best.config.params())


def test_list_has_every_study_under_the_root(study: Make, run: Run) -> None:
    study(2, name="b")
    study(3, name="a")
    found = run("study", "list", "--format", "json").json
    assert [(row["name"], row["n_trials"]) for row in found] == [("a", 3), ("b", 2)]
    assert all(row.keys() == {"name", "states", "n_trials", "best"} for row in found)
    rows = [line.split()[:2] for line in run("study", "list").out.splitlines()]
    assert rows == [["study", "trials"], ["a", "3"], ["b", "2"]]


def test_list_of_an_empty_root_says_so_and_makes_nothing(run: Run, tmp_path: Path) -> None:
    ran = run("study", "list")
    assert (ran.code, ran.out) == (0, "")
    assert "there is no study in studies yet" in ran.err
    assert run("study", "list", "--format", "json").json == []
    assert list(tmp_path.iterdir()) == []


def test_a_study_that_cannot_be_read_hides_no_other(study: Make, run: Run, root: Path) -> None:
    study(2)
    (root / "broken").mkdir()
    (root / "broken" / "study.db").write_bytes(b"no database" * 1000)
    (root / "nodriver").mkdir()
    (root / "nodriver" / "storage.url").write_text("nosuchdb://host/x")
    ran = run("study", "list", "--format", "json")
    assert ran.code == 0
    assert [row["name"] for row in ran.json] == ["toy"]
    assert "broken: " in ran.err
    assert "nodriver: " in ran.err


def test_where_no_study_can_be_read_none_is_said_to_be_missing(run: Run, root: Path) -> None:
    (root / "broken").mkdir(parents=True)
    (root / "broken" / "study.db").write_bytes(b"no database" * 1000)
    ran = run("study", "list")
    assert "broken: " in ran.err
    assert "there is no study" not in ran.err


def test_a_database_that_is_not_there_is_named(study: Make, run: Run, root: Path) -> None:
    study(2)
    line = run("study", "show", "toy", "--storage", "sqlite:///nope.db").failed(1)
    assert "study 'toy' must have its database, got none at" in line
    assert "nope.db; correct --storage" in line


def test_the_study_last_named_is_meant_when_none_is(study: Make, run: Run) -> None:
    study(2, name="a")
    study(3, name="b")
    run("study", "show", "--study", "b")
    assert run("study", "show", "--format", "json").json["name"] == "b"
    assert "got 'quickstart'" in run("study", "show", "--root", "elsewhere").failed(1)


def test_a_study_that_does_not_exist_is_refused_with_the_nearest(study: Make, run: Run) -> None:
    study(2)
    line = run("study", "show", "--study", "tooy").failed(1)
    assert "a study must exist in studies, got 'tooy'; did you mean 'toy'?" in line
    assert "got 'quickstart'" in run("study", "show").failed(1), "what does not exist is not remembered"


def test_another_root_and_another_database_are_read(
    root: Path, tmp_path: Path, data: fakes.FakeData, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = store.sqlite_url(tmp_path / "all.db")
    with open_writer(fakes.spec(), root, data, storage=url):
        pass
    other = tmp_path / "other"
    found = run("study", "show", "--study", "toy", "--storage", url, "--root", other, "--format", "json").json
    assert (found["name"], found["storage"]) == ("toy", url)
    monkeypatch.setenv("FERHPO_STORAGE", url)
    assert run("study", "show", "--study", "toy", "--root", other, "--format", "json").json == found


def test_no_password_is_printed(run: Run) -> None:
    ran = run("study", "show", "--study", "toy", "--storage", "postgresql+psycopg://me:s3cr3t@127.0.0.1:1/x")
    assert "me@127.0.0.1:1/x" in ran.failed(1)
    assert "s3cr3t" not in ran.err


def test_show_says_what_was_learned_and_what_cannot_be_said_yet(study: Make, run: Run) -> None:
    opened = study(9, scheduler="none")
    found = run("study", "show", "--study", "toy", "--format", "json").json["learned"]
    epochs = {row["state"]: row["epochs"] for row in found["budget"]}
    assert sum(epochs.values()) == sum(len(t.values) for t in opened.trials())
    assert found["pairs"] == []
    assert found["pairs_reason"].startswith("pairs need at least 30 trials")
    assert (found["importances"] == []) == (found["importances_reason"] is not None)
    shown = run("study", "show", "--study", "toy").out
    assert f"{epochs['COMPLETE']} epochs" in shown
    assert "pairs need at least 30 trials" in shown


def test_show_before_the_first_trial_ends_has_learned_nothing(root: Path, data: fakes.FakeData, run: Run) -> None:
    with open_writer(fakes.spec(), root, data):
        pass
    found = run("study", "show", "-s", "toy", "-f", "json").json["learned"]
    assert (found["choices"], found["pairs"], found["importances"]) == ([], [], [])


def test_prior_knowledge_is_shown_as_such(
    study: Callable[..., Study], run: Run, root: Path, data: fakes.FakeData
) -> None:
    kept = [{"number": 0, "state": "COMPLETE", "epochs": [3], "values": [0.9], "settings": {}}]
    study(4)
    with open_writer(fakes.spec(), root, data, prior={"other": kept}):
        pass
    assert "prior             1 trials of 'other'" in run("study", "show", "--study", "toy").out
    shown = run("study", "show", "--study", "toy", "--format", "json").json
    assert (shown["prior"], shown["n_trials"]) == ({"other": 1}, 4)
