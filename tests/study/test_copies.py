"""A copy waits at its original's epoch with the values up to there, under its own settings."""

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from ferhpo.study.copies import copy_of, is_copy


def test_a_copy_keeps_values_up_to_its_epoch_and_what_it_does_not_change() -> None:
    lists = CategoricalDistribution(["none", "sqrt"])
    source = optuna.trial.create_trial(
        state=TrialState.WAITING,
        params={"lr": 0.5, "class_weighting": "sqrt"},
        distributions={"lr": FloatDistribution(0.1, 1.0), "class_weighting": lists},
        intermediate_values={1: 0.3, 2: 0.4, 3: 0.5},
        user_attrs={"history": [1, 2, 3]},
    )
    source.number = 7
    wider = FloatDistribution(0.1, 5.0)
    copy = copy_of(source, 2, {"lr": 2.0}, {"lr": wider}, {"lr": 2.0})
    assert is_copy(copy)
    assert not is_copy(source)
    assert (copy.state, copy.params) == (TrialState.WAITING, {"lr": 2.0, "class_weighting": "sqrt"})
    assert copy.distributions == {"lr": wider, "class_weighting": lists}
    assert copy.intermediate_values == {1: 0.3, 2: 0.4}
    assert copy.user_attrs == {"copied_from": 7, "copied_at": 2, "config": {"lr": 2.0}}


def test_a_copy_knows_what_its_net_costs_which_is_not_measured_again() -> None:
    source = optuna.trial.create_trial(
        state=TrialState.WAITING,
        params={"lr": 0.5},
        distributions={"lr": FloatDistribution(0.1, 1.0)},
        user_attrs={"costs": {"params": 1000.0}},
    )
    assert copy_of(source, 2, {}, {}, {}).user_attrs["costs"] == {"params": 1000.0}
