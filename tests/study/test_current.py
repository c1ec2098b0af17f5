"""After a change of the study file Optuna's samplers go by the space as it is; the stored trials stay as they were."""

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial

from ferhpo.search.samplers import sampler
from ferhpo.space.config import TrialConfig
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.study.current import as_now, filled

WIDE = "lr = { low = 0.001, high = 1.0, log = true, default = 0.1 }\n"
NARROW = "lr = { low = 0.05, high = 0.2, log = true, default = 0.1 }\n"
DROPOUT = "dropout = { low = 0.0, high = 0.8, default = 0.2 }\n"
DECAY = "weight_decay = { low = 0.0, high = 0.1, default = 0.01 }\n"
GENERATION = "NSGAIISampler:generation"


def spec(space: str, name: str = "tpe") -> StudySpec:
    text = f"[budget]\nepochs = 3\n[sampler]\nname = '{name}'\nstartup = 3\n[scheduler]\nname = 'none'\n[space]\n"
    return parse_spec(text + space, name="toy")


def trial(space: str, **params: Any) -> FrozenTrial:
    """Return a trial that drew from a space."""
    ranges = {d.name: d.distribution() for d in spec(space).space.dimensions}
    config = TrialConfig(**params).params()
    return optuna.trial.create_trial(params=params, distributions=ranges, value=0.5, user_attrs={"config": config})


def now(one: FrozenTrial, space: str) -> FrozenTrial | None:
    made = spec(space).space
    return as_now(one, made, {d.name: d.distribution() for d in made.dimensions if not d.choices})


def drawn_from_wide(n: int) -> optuna.Study:
    study, made = optuna.create_study(direction="maximize"), spec(WIDE + DROPOUT, "random")
    study.sampler = sampler(made, 0)
    for _ in range(n):
        asked = study.ask()
        config = made.space.sample(asked)
        asked.set_user_attr("config", config.params())
        study.tell(asked, -abs(np.log10(config.lr) + 1) - config.dropout)
    return study


def test_a_trial_of_the_space_as_it_is_stays_the_same() -> None:
    one = trial(WIDE + DROPOUT, lr=0.1, dropout=0.5)
    assert now(one, WIDE + DROPOUT) is one


def test_a_trial_in_a_changed_range_carries_it_and_one_outside_is_left_out() -> None:
    found = now(trial(WIDE, lr=0.1), NARROW)
    assert found is not None
    assert found.params == {"lr": 0.1}
    assert found.distributions == {"lr": FloatDistribution(0.05, 0.2, log=True)}
    assert now(trial(WIDE, lr=0.5), NARROW) is None


def test_what_was_fixed_has_its_value_and_what_is_fixed_now_is_gone() -> None:
    one = trial(WIDE + DROPOUT, lr=0.1, dropout=0.5)
    found = now(one, WIDE + DECAY + "flip = { low = 0.0, high = 1.0, default = 0.5 }\n")
    assert found is not None
    assert found.params == {"lr": 0.1, "weight_decay": TrialConfig().weight_decay}
    assert one.params == {"lr": 0.1, "dropout": 0.5}


def test_what_a_trial_had_fixed_is_known_wherever_it_lies() -> None:
    one = trial(DROPOUT, dropout=0.5)
    choice = 'optimizer = { choices = ["OTHER", "adamw"], default = "adamw" }\n'
    outside = WIDE.replace("high = 1.0", "high = 0.05").replace("default = 0.1", "default = 0.01")
    for space, known in (
        (DROPOUT, {}),
        (WIDE, {"lr": 0.1}),
        (outside, {"lr": 0.1}),
        ("flip = { low = 0.0, high = 1.0, default = 0.5 }\n", {}),  # it was off
        (choice.replace("OTHER", "sgd"), {"optimizer": "sgd"}),
        (choice.replace("OTHER", "adam"), {}),
        ('optimizer = "adamw"\nmomentum = { low = 0.5, high = 0.9, default = 0.9 }\n', {"momentum": 0.9}),
    ):
        assert filled(spec(space).space, one) == {"dropout": 0.5} | known
    one.user_attrs.clear()
    assert filled(spec(WIDE).space, one) == {"dropout": 0.5}


def test_what_a_sampler_keeps_in_coordinates_of_the_old_range_is_forgotten() -> None:
    one = trial(WIDE, lr=0.1)
    one.system_attrs = {"cma:optimizer:0": "00", "constraints": [1.0], GENERATION: 1}
    found = now(one, NARROW)
    assert found is not None
    assert found.system_attrs == {"constraints": [1.0], GENERATION: 1}


@pytest.mark.parametrize("name", ["tpe", "gp", "cmaes", "nsga2", "qmc"])
def test_a_sampler_draws_from_the_range_as_it_is(name: str) -> None:
    study = drawn_from_wide(25)
    before = [(t.params, t.distributions) for t in study.trials]
    made = spec(NARROW + DECAY, name)
    study.sampler = sampler(made, 25)
    for _ in range(3):
        asked = study.ask()
        config = made.space.sample(asked)
        assert asked.relative_search_space == {
            "lr": FloatDistribution(0.05, 0.2, log=True),
            "weight_decay": FloatDistribution(0.0, 0.1),
        }
        assert asked.relative_params.items() <= asked.params.items()
        asked.set_user_attr("config", config.params())
        study.tell(asked, 0.0)
    assert [(t.params, t.distributions) for t in study.trials[:25]] == before


def test_one_parent_that_a_changed_range_leaves_is_crossed_with_nobody() -> None:
    study = drawn_from_wide(0)
    for generation, lrs in enumerate(([*np.linspace(0.3, 0.9, 49).tolist(), 0.1], [0.15])):
        for lr in lrs:
            one = trial(WIDE + DROPOUT, lr=lr, dropout=0.5)
            one.system_attrs = {GENERATION: generation}
            study.add_trial(one)
    for space in (WIDE + DROPOUT, NARROW + DROPOUT):
        made = spec(space, "nsga2")
        study.sampler = sampler(made, 51)
        for _ in range(3):  # the first of them choose their parents, which the study keeps
            made.space.sample(study.ask())
