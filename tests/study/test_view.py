"""Who learns from configurations sees neither repeats nor copies; everybody else sees them."""

from collections.abc import Sequence
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState

from ferhpo.study.view import Searched, searched

RANGE = FloatDistribution(0.0, 1.0)


class Listening(RandomSampler):
    """Notes which trials it is shown."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self.seen: set[int] = set()
        self.told: list[int] = []

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        self.seen |= {t.number for t in study.get_trials(deepcopy=False)}
        return super().sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        del study, state, values
        self.told.append(trial.number)


@pytest.fixture
def study() -> optuna.Study:
    """Return a study of a repeat (0), a copy (1) and a trial of its own (2), with a sampler that listens."""
    made = optuna.create_study(sampler=Listening())
    for attrs in ({"repeats": 2, "seed": 0}, {"copied_from": 2, "copied_at": 1}, {}):
        trial = optuna.trial.create_trial(
            params={"lr": 0.5}, distributions={"lr": RANGE}, value=0.1, user_attrs=attrs, state=TrialState.COMPLETE
        )
        made.add_trial(trial)
    return made


def test_the_view_lacks_them_and_the_study_has_them(study: optuna.Study) -> None:
    assert [t.number for t in searched(study).get_trials()] == [2]
    assert [t.number for t in study.get_trials()] == [0, 1, 2]


def test_a_sampler_is_shown_and_told_of_the_others_alone(study: optuna.Study) -> None:
    inner = study.sampler
    assert isinstance(inner, Listening)
    study.sampler = Searched(inner)
    trial = study.ask()
    trial.suggest_float("lr", 0.0, 1.0)
    assert inner.seen == {2, 3}
    study.tell(trial, 0.5)
    copy = study.ask()
    copy.set_user_attr("copied_from", 2)
    study.tell(copy, 0.5)
    assert inner.told == [3]
