"""Choices may change between two runs: one parameter, one list, and every trial as it was."""

from pathlib import Path

import fakes
import optuna
import pytest
from conftest import open_writer, run_session
from optuna.distributions import BaseDistribution, CategoricalDistribution

from ferhpo.errors import SpecError
from ferhpo.search.budget import Limits
from ferhpo.search.session import Session
from ferhpo.space.sections import SAMPLERS
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.study.choices import outside
from ferhpo.study.study import Study


def spec(*choices: str, sampler: str = "random", more: str = "") -> StudySpec:
    text = fakes.SPEC.format(epochs=3, trials=4, scheduler="none").replace('"random"', f'"{sampler}"\nstartup = 3')
    entry = f'schedule = {{ choices = {list(choices)}, default = "{choices[0]}" }}\n'
    return parse_spec(text.replace("high = 1.0", "high = 0.8") + entry + more, name="toy", path="toy.toml")


def searched(root: Path, data: fakes.FakeData, of: StudySpec, trials: int) -> list[str]:
    """Search and return the notes."""
    with open_writer(of, root, data) as writer:
        run_session(Session(writer, Limits(trials=trials), emit=lambda _: None), data)
        return list(writer.notes)


def chosen(root: Path) -> list[str]:
    return [t.params["schedule"] for t in Study.open(root, "toy").trials() if t.params]


def told(root: Path) -> list[object]:
    return [(t.number, t.state, t.value, t.params, t.values, t.config) for t in Study.open(root, "toy").trials()]


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in {"cmaes", "grid"}])
def test_old_trials_stay_as_they_are_and_new_ones_keep_to_the_new_choices(
    root: Path, data: fakes.FakeData, sampler: str
) -> None:
    searched(root, data, spec("onecycle", "cosine", "constant", sampler=sampler), 12)
    before = told(root)
    gone = chosen(root).count("onecycle")
    notes = searched(root, data, spec("plateau", "cosine", "constant", sampler=sampler), 24)
    assert notes == [
        f"{gone} of 12 trials have choices that the study file no longer offers: they stay as history and count as "
        "before"
    ]
    assert told(root)[:12] == before
    assert set(chosen(root)[12:]) == {"plateau", "cosine", "constant"}
    assert searched(root, data, spec("plateau", "cosine", "constant", sampler=sampler), 26) == []
    assert "onecycle" not in chosen(root)[24:]


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in {"cmaes", "grid"}])
def test_choices_may_change_with_a_range_that_no_past_trial_lies_in(
    root: Path, data: fakes.FakeData, sampler: str
) -> None:
    one, other = spec("onecycle", "cosine", sampler=sampler), spec("constant", "cosine", sampler=sampler)
    searched(root, data, one, 6)
    lower = other.text.replace("low = 0.001, high = 0.8", "low = 1e-6, high = 1e-4").replace("= 0.1 }", "= 1e-5 }")
    searched(root, data, parse_spec(lower, name="toy", path="toy.toml"), 12)
    assert set(chosen(root)[6:]) <= {"constant", "cosine"}


def test_only_trials_that_count_are_told_of() -> None:
    lists: dict[str, BaseDistribution] = {"schedule": CategoricalDistribution(["onecycle", "cosine"])}
    trials = [
        optuna.trial.create_trial(params={"schedule": "onecycle"}, distributions=lists, value=0.5, user_attrs=attrs)
        for attrs in ({}, {"repeats": 0}, {"interrupted": True})
    ]
    assert outside(spec("cosine", "constant").space, trials) == 1


def test_every_reader_sees_one_parameter_with_one_list(root: Path, data: fakes.FakeData) -> None:
    searched(root, data, spec("onecycle", "cosine"), 6)
    searched(root, data, spec("constant", "cosine"), 12)
    study = Study.open(root, "toy").optuna_study
    assert {str(t.distributions["schedule"]) for t in study.trials} == {
        "CategoricalDistribution(choices=('onecycle', 'cosine', 'constant'))"
    }
    assert "schedule" in optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
    )


def test_choices_of_another_study_of_the_database_are_left_alone(
    root: Path, data: fakes.FakeData, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    one = spec("onecycle", "cosine")
    for name in ("toy", "other"):
        with open_writer(parse_spec(one.text, name=name), root, data, url) as writer:
            run_session(Session(writer, Limits(trials=2), emit=lambda _: None), data)
    with open_writer(spec("constant", "cosine"), root, data, url):
        pass
    other = Study.open(root, "other").optuna_study
    assert {len(t.distributions["schedule"].choices) for t in other.trials} == {2}  # pyright: ignore[reportAttributeAccessIssue]


def test_the_default_sampler_looks_for_the_best_of_what_is_offered(root: Path, data: fakes.FakeData) -> None:
    searched(root, data, spec("onecycle", "cosine", sampler="fidelity"), 14)
    searched(root, data, spec("constant", "cosine", sampler="fidelity"), 34)
    assert {"constant", "cosine"} == set(chosen(root)[14:])


def test_what_waits_and_is_no_longer_offered_gives_way_without_counting(root: Path, data: fakes.FakeData) -> None:
    tried = spec("onecycle", "cosine", more='[[try]]\nschedule = "cosine"\n[[try]]\nlr = 0.7\n')
    with open_writer(tried, root, data) as writer:
        assert writer.reader.states()["WAITING"] == 3
    with open_writer(spec("onecycle", "constant"), root, data) as writer:
        assert [t.state for t in writer.reader.trials()] == ["WAITING", "FAIL", "WAITING"]
        assert "queued before" in writer.reader.trials()[1].attrs["error"]
        assert writer.count() == 0
    with open_writer(spec("constant", "cosine"), root, data) as writer:
        assert writer.ask(lambda config, _: config)[2] == {"lr": 0.1, "dropout": 0.2, "schedule": "constant"}


def test_a_choice_that_becomes_a_range_needs_a_new_name(root: Path, data: fakes.FakeData) -> None:
    text = spec("onecycle", "cosine").text
    searched(root, data, parse_spec(text + "width = { choices = [16, 32], default = 16 }\n", name="toy"), 2)
    changed = parse_spec(text + "width = { low = 16, high = 32, default = 16 }\n", name="toy")
    with pytest.raises(SpecError, match="a study keeps the kind of range of width"):
        searched(root, data, changed, 4)
