"""Trials of another study teach the sampler and are none of this study's."""

from collections.abc import Callable
from pathlib import Path

import fakes
import optuna
import pytest
from conftest import open_writer, run_session

from ferhpo.errors import StudyError, UsageError
from ferhpo.search.budget import Limits
from ferhpo.search.prior import of_study, records, trials
from ferhpo.search.sampler import FidelitySampler
from ferhpo.search.session import Session
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.study.overview import STORAGE_FILE
from ferhpo.study.study import Study


def new(*change: str, name: str = "new") -> StudySpec:
    text = fakes.spec().text.replace('"random"', '"fidelity"\nstartup = 3')
    old, by = change or ("", "")
    assert old in text
    return parse_spec(text.replace(old, by, 1), name=name, path="new.toml")


def test_prior_trials_are_the_others_complete_and_pruned_ones(study: Callable[..., Study]) -> None:
    other = study(6)
    kept = records(other, new())
    ended = [t for t in other.trials() if t.state in {"COMPLETE", "PRUNED"}]
    assert [row["number"] for row in kept] == [t.number for t in ended]
    for trial, found in zip(ended, trials(kept, new().space), strict=True):
        assert (found.params, found.intermediate_values) == (trial.params, trial.values)
        assert found.state.name == trial.state


def test_the_others_study_file_is_not_read_anew_for_every_trial(
    study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    other, read = study(9, scheduler="none"), []
    monkeypatch.setattr(Study, "spec", property(lambda self: read.append(self) or fakes.spec()))
    kept = records(other, new())
    assert len(read) < len(kept)


def test_what_the_space_searches_is_taken_from_the_whole_configuration(study: Callable[..., Study]) -> None:
    wider = new("[space]", "[space]\nmomentum = { low = 0.5, high = 0.99, default = 0.8 }")
    assert {t.params["momentum"] for t in trials(records(study(4), wider), wider.space)} == {0.9}


def test_trials_outside_the_space_are_no_knowledge_of_it(study: Callable[..., Study]) -> None:
    other = study(6)
    narrow = new("low = 0.001, high = 1.0", "low = 0.05, high = 0.2")
    inside = [t for t in other.trials() if t.value is not None and 0.05 <= t.params["lr"] <= 0.2]
    assert 0 < len(trials(records(other, narrow), narrow.space)) == len(inside) < 6


def test_trials_that_break_a_constraint_of_the_new_study_are_left_out(study: Callable[..., Study]) -> None:
    other = study(6)
    best = max(t.value for t in other.trials() if t.value is not None and t.state == "COMPLETE")
    strict = new("description", f'constraints = ["accuracy <= {best - 1e-6}"]\ndescription')
    kept = [row for row in records(other, strict) if row["state"] == "COMPLETE"]
    assert len(kept) == sum(t.state == "COMPLETE" for t in other.trials()) - 1


def test_trials_of_another_choice_than_the_one_that_is_fixed_now_are_left_out(root: Path, data: fakes.FakeData) -> None:
    text = fakes.spec().text.replace('arch = "resnet9s"', 'arch = { choices = ["resnet9s", "vgg8"], default = "vgg8" }')
    with open_writer(parse_spec(text, name="toy"), root, data) as writer:
        run_session(Session(writer, Limits(trials=8), emit=lambda _: None), data)
    other = Study.open(root, "toy")
    ended = [t for t in other.trials() if t.state in {"COMPLETE", "PRUNED"}]
    same = [t.number for t in ended if t.params["arch"] == "resnet9s"]
    assert 0 < len(same) < len(ended)
    assert [row["number"] for row in records(other, new())] == same
    fixed = new("dropout = { low = 0.0, high = 0.9, default = 0.2 }", "dropout = 0.3")
    assert [row["number"] for row in records(other, fixed)] == same, "of a range every value counts"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (new(name="toy"), "--from-study toy: that is this study"),
        (
            new("description", 'metric = "nll"\ndescription'),
            "its metric is accuracy to maximize, and this study's nll to minimize",
        ),
        (
            new("description", 'metric = ["accuracy", "params"]\ndescription'),
            "if both have one objective, and 'new' has several; leave out --from-study",
        ),
        (new("epochs = 3", "epochs = 4"), "--from-study toy: its trials have 3 epochs, and this study's 4"),
        (
            new('"fidelity"', '"tpe"'),
            r"new\.toml:\d+: --from-study toy: the sampler that learns from another study is fidelity, got tpe",
        ),
        (
            new('arch = "resnet9s"', 'arch = { choices = ["vgg8", "cnn"], default = "vgg8" }'),
            "--from-study toy: no COMPLETE or PRUNED trial of it has settings that lie in the new space",
        ),
        (
            parse_spec("[budget]\nepochs = 3\n[space]\nwidth = { low = 8, high = 16, default = 8 }\n", name="new"),
            "--from-study toy: no setting is searched by both studies",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused(study: Callable[..., Study], spec: StudySpec, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        records(study(4), spec)


@pytest.mark.parametrize(
    ("remembered", "given", "opened"),
    [
        ("postgresql://me@host/db", "postgresql://me:secret@host/db", "postgresql://me:secret@host/db"),
        ("postgresql://me@host/db", "postgresql://me:secret@host/other", None),
        (None, "postgresql://me:secret@host/db", "postgresql://me:secret@host/db"),
        ("postgresql://me@host/db", None, None),
    ],
)
def test_the_other_study_is_opened_with_the_password_of_its_database(
    root: Path, monkeypatch: pytest.MonkeyPatch, remembered: str | None, given: str | None, opened: str | None
) -> None:
    if remembered:
        (root / "toy").mkdir(parents=True)
        (root / "toy" / STORAGE_FILE).write_text(remembered)
    asked: list[object] = []

    def open_other(*args: object) -> None:
        asked.extend(args)
        raise StudyError

    monkeypatch.setattr(Study, "open", open_other)
    with pytest.raises(StudyError):
        of_study(root, "toy", new(), given)
    assert asked == [root, "toy", opened]


def test_a_study_in_its_own_folder_is_found_beside_another_database(
    study: Callable[..., Study], root: Path, tmp_path: Path
) -> None:
    kept = of_study(root, study(4).name, new(), f"sqlite:///{tmp_path / 'shared.db'}")
    assert len(kept["toy"]) == 4


def test_prior_trials_are_kept_once_and_are_no_trials_of_the_study(
    study: Callable[..., Study], root: Path, data: fakes.FakeData
) -> None:
    other = study(6)
    for _ in range(2):
        with open_writer(new(), root, data, prior={"toy": records(other, new())}) as writer:
            assert writer.count() == 0
            assert writer.unsettled() == []
            assert writer.reader.states() == dict.fromkeys(writer.reader.states(), 0) | {"WAITING": 1}
            assert (writer.reader.best(), writer.reader.candidates()) == (None, [])
    with open_writer(new(), root, data) as writer:
        assert [row["number"] for row in writer.reader.prior["toy"]] == [r["number"] for r in records(other, new())]


def test_a_prior_choice_of_what_is_a_number_here_is_left_out() -> None:
    other = optuna.create_study()
    other.optimize(lambda t: (t.suggest_categorical("lr", ["low", "high"]) == "low") + t.suggest_float("x", 0, 1), 5)
    study = optuna.create_study(sampler=FidelitySampler(1, seed=0, startup=3, prior=other.trials))
    study.optimize(lambda t: t.suggest_float("lr", 1e-3, 1, log=True) + t.suggest_float("x", 0, 1), n_trials=6)
    assert len(study.trials) == 6


def test_a_search_with_prior_knowledge_begins_where_the_other_ended(
    study: Callable[..., Study], root: Path, data: fakes.FakeData
) -> None:
    other = study(30)
    with open_writer(new(), root, data, prior={"toy": records(other, new())}) as writer:
        run_session(Session(writer, Limits(trials=8), emit=lambda _: None), data)
        taught = [fakes.score(t.config, 3) for t in writer.reader.trials()[1:] if t.config]
    with open_writer(new(name="untaught"), root, data) as writer:
        run_session(Session(writer, Limits(trials=8), emit=lambda _: None), data)
        untaught = [fakes.score(t.config, 3) for t in writer.reader.trials()[1:] if t.config]
    assert sorted(taught)[3] > sorted(untaught)[3]


def test_prior_trials_of_any_optuna_study_are_learned_from_at_once() -> None:
    def objective(trial: optuna.Trial) -> float:
        x, kind = trial.suggest_float("x", 0, 1), trial.suggest_categorical("kind", ["a", "b"])
        for epoch in range(1, 10):
            trial.report(epoch / 9 - abs(x - 0.7) - 0.3 * (kind == "a"), epoch)
        return 1 - abs(x - 0.7) - 0.3 * (kind == "a")

    before = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    before.optimize(objective, 30)
    before.add_trial(  # a choice that this study never offers
        optuna.trial.create_trial(
            params={"kind": "c"},
            distributions={"kind": optuna.distributions.CategoricalDistribution(["b", "c"])},
            intermediate_values={9: 9.0},
            value=9.0,
        )
    )
    learns = FidelitySampler(max_epochs=9, seed=0, prior=before.trials)
    study = optuna.create_study(direction="maximize", sampler=learns)
    study.optimize(objective, 6)
    assert sum(t.params["kind"] == "b" and abs(t.params["x"] - 0.7) < 0.1 for t in study.trials[1:]) >= 3


def test_a_study_whose_trials_have_a_time_is_no_knowledge_of_epochs(root: Path, data: fakes.FakeData) -> None:
    timed = parse_spec(
        fakes.spec().text.replace("[budget]", '[budget]\ntrial_time = "60s"').replace('"asha"', '"none"'), name="toy"
    )
    with open_writer(timed, root, data) as writer:
        run_session(Session(writer, Limits(trials=2), emit=lambda _: None), data)
    with pytest.raises(UsageError, match="its trials have a time and not a number of epochs"):
        records(Study.open(root, "toy"), new())
