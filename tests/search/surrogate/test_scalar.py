"""Several objectives as one, and what samplers make of several objectives and of constraints."""

import math

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import Trial, TrialState

from ferhpo.errors import SpecError
from ferhpo.search.sampler import FidelitySampler
from ferhpo.search.samplers import logged_points, sampler
from ferhpo.search.surrogate.scalar import directions, scalarised
from ferhpo.space.spec import parse_spec


@pytest.mark.parametrize("objectives", [2, 3, 4, 8])
def test_directions_are_weights_and_none_of_them_is_without_say(objectives: int) -> None:
    found = directions(objectives)
    assert 4 <= len(found) <= 12
    assert found.min() > 0
    assert np.allclose(found.sum(1), 1)


def test_who_is_beaten_everywhere_is_worse_in_every_direction() -> None:
    curves = [np.array([[0.5, -3.0]]), np.array([[0.6, -2.0]]), np.array([[0.1, -2.5], [0.9, -9.0]])]
    for weights in directions(2):
        first, second, _ = scalarised(curves, weights)
        assert first[0] < second[0] <= 0


def test_scale_and_outliers_of_an_objective_do_not_matter() -> None:
    points = np.random.default_rng(0).random((30, 2))
    plain = scalarised([points], np.array([0.5, 0.5]))[0]
    assert np.allclose(plain, scalarised([points * [1, 1e6] + [0, 5]], np.array([0.5, 0.5]))[0])
    worse = np.concatenate([points, [[0.5, -1e9]]])
    assert np.ptp(scalarised([worse], np.array([0.5, 0.5]))[0][:30]) > 0.3


def test_a_bad_row_stays_unknown() -> None:
    found = scalarised([np.array([[np.nan, np.nan]]), np.array([[1.0, 2.0]])], np.array([0.5, 0.5]))
    assert np.isnan(found[0][0])
    assert found[1][0] == 0
    assert np.isnan(scalarised([np.array([[np.nan, np.nan]])], np.array([0.5, 0.5]))[0][0])


# --- samplers


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def tradeoff(trial: Trial) -> tuple[float, float]:
    """Two aims, one to be large and one small; the front is where the last three parameters are right."""
    x = trial.suggest_float("x", 0, 1)
    off = sum(abs(trial.suggest_float(name, 0, 1) - 0.3) for name in ("a", "b", "c"))
    return math.sqrt(x) - off, x + off


def volume(study: Study) -> float:
    """Return the share of the square from (0, 1) to (1, 0) that the front is ahead of."""
    points = sorted((t.values[1], t.values[0]) for t in study.trials if t.state == TrialState.COMPLETE)
    edges = np.linspace(0, 1, 201)
    return float(np.mean([max((v for c, v in points if c <= edge), default=0) for edge in edges]))


def searched(made: BaseSampler, trials: int = 40) -> Study:
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=made)
    study.optimize(tradeoff, trials)
    return study


def test_a_front_is_found_sooner_than_at_random() -> None:
    ours, at_random = searched(FidelitySampler(9, seed=0)), searched(RandomSampler(seed=0))
    assert volume(ours) > volume(at_random) + 0.15
    near = [t for t in ours.best_trials if t.values[0] > 0]
    assert max(t.params["x"] for t in near) - min(t.params["x"] for t in near) > 0.3, "not one end of it alone"


def test_values_by_epoch_of_stopped_trials_are_learned_from() -> None:
    def known(trial: optuna.trial.FrozenTrial) -> dict[int, tuple[float, float]]:
        return {3: tuple(trial.user_attrs["seen"])} if "seen" in trial.user_attrs else {}

    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=FidelitySampler(9, seed=0, startup=5, points=known)
    )
    for _ in range(40):
        trial = study.ask()
        trial.set_user_attr("seen", tradeoff(trial))
        study.tell(trial, state=TrialState.PRUNED)
    off = [sum(abs(t.params[n] - 0.3) for n in "abc") for t in study.trials]
    assert np.median(off[-15:]) < 0.6 * np.median(off[:5])


def test_it_keeps_away_from_where_constraints_are_broken_even_if_hardly_any_trial_keeps_them() -> None:
    study = optuna.create_study(direction="maximize", sampler=FidelitySampler(1, seed=0))
    for number in range(50):
        if number == 1:
            study.enqueue_trial({"x": 0.05, "y": 0.5})
        trial = study.ask()
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        trial.set_constraint("x", x - 0.1)  # better beyond it
        if x > 0.1:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, x - abs(y - 0.7))
    late = study.trials[25:]
    assert sum(t.params["x"] <= 0.1 for t in late) > len(late) / 3
    assert study.best_value > -0.05, "the most there is lies on the constraint, at 0.1"


@pytest.mark.parametrize("name", ["fidelity", "gp", "nsga2", "random", "qmc", "grid"])
def test_samplers_that_take_several_objectives_get_along_with_pruned_trials(name: str) -> None:
    made = parse_spec(
        f'metric = ["accuracy", "params"]\nconstraints = ["params <= 90"]\n[sampler]\nname = "{name}"\nstartup = 3\n'
        "[space]\nlr = { low = 0.01, high = 1.0, log = true, default = 0.1 }\n"
        "dropout = { low = 0.0, high = 0.8, default = 0.2 }\n",
        name="toy",
    )
    study = optuna.create_study(directions=made.directions, sampler=sampler(made, 0))
    for number in range(9):
        trial = study.ask()
        made.space.sample(trial)
        study._storage.set_trial_intermediate_value(trial._trial_id, 1, 0.5)
        study._storage.set_trial_system_attr(trial._trial_id, "constraints", [number % 2 - 0.5])
        if number % 3:
            study.tell(trial, [number / 9, 100.0 - number])
        else:
            study.tell(trial, state=TrialState.PRUNED)
    assert len(study.trials) == 9


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cmaes", "cmaes takes one objective, got accuracy, params; choose fidelity, gp or nsga2"),
        ("tpe", "tpe takes several objectives only where no trial is stopped early, got accuracy, params"),
    ],
)
def test_samplers_that_cannot_take_several_objectives_are_refused(name: str, message: str) -> None:
    text = f'metric = ["accuracy", "params"]\n[sampler]\nname = "{name}"\n[space]\n'
    text += "lr = { low = 0.1, high = 1, default = 1 }\n"
    with pytest.raises(SpecError, match=f"x.toml:3: {message}"):
        sampler(parse_spec(text, name="x", path="x.toml"), 0)
    if name == "tpe":
        sampler(parse_spec(text + '[scheduler]\nname = "none"\n', name="x"), 0)


def test_costs_are_learned_as_logarithms() -> None:
    trial = optuna.trial.create_trial(
        state=TrialState.PRUNED,
        user_attrs={"costs": {"params": math.e}, "history": [{"epoch": 2, "figures": {"accuracy": 0.5}}]},
    )
    assert logged_points(("accuracy", "params"), trial) == {2: [0.5, 1.0]}
    assert logged_points(("accuracy", "memory_mib"), trial) == {}
