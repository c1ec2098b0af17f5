"""Rows of define-by-run spaces, there and back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial, TrialState

from ferhpo.search.surrogate.encoding import Encoding, Presence, Tried
from tests.search.plain import fidelity, run

SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1.0, log=True),
    "dropout": FloatDistribution(0.0, 0.8, step=0.2),
    "momentum": FloatDistribution(-1.0, 3.0),
    "width": IntDistribution(8, 64, log=True),
    "depth": IntDistribution(2, 11, step=3),
    "kind": CategoricalDistribution(["a", None, 3, True]),
}


def rows(seed: int, n: int = 50) -> np.ndarray:
    return Encoding(SPACE).random(np.random.default_rng(seed), n)


def test_configurations_are_counted_where_every_range_has_steps() -> None:
    assert Encoding({name: SPACE[name] for name in ("dropout", "depth", "kind")}).points == 5 * 4 * 4
    assert Encoding(SPACE).points == float("inf")
    assert Encoding({}).points == 1
    many: dict[str, BaseDistribution] = {f"x{i}": IntDistribution(0, 1000) for i in range(110)}
    assert Encoding(many | {"lr": SPACE["lr"]}).points == float("inf")


def test_all_configurations_come_once_each_in_an_order_that_is_drawn() -> None:
    encoding = Encoding({name: SPACE[name] for name in ("dropout", "depth", "kind")})
    one, other = (encoding.every(np.random.default_rng(seed)) for seed in (0, 1))
    found = {tuple(encoding.params(row).values()) for row in one}
    assert len(found) == len(one) == encoding.points
    assert {depth for _, depth, _ in found} == {2, 5, 8, 11}
    assert sorted(one.tolist()) == sorted(other.tolist())
    assert one.tolist() != other.tolist()


def test_a_row_was_tried_if_a_trial_has_all_of_it_or_was_not_asked_for_the_rest() -> None:
    nan = float("nan")
    tried = Tried(np.array([[0, nan], [nan, nan], [1, 0.5], [2, nan]]), [True] * 4, [True] * 4)
    assert tried(np.array([1, 0.5 + 1e-9]))
    assert not tried(np.array([1, 0.6]))
    assert tried(np.array([2, 0.6])), "the trial could have been asked for the second, and was not"
    assert not tried(np.array([0, 0.6])), "nobody knew of the second when that trial ran"
    assert tried(np.array([0, nan]))
    assert not tried(np.array([3, nan]))
    assert not Tried(np.empty((0, 2)), [], [])(np.array([3, nan]))


def test_a_trial_that_may_have_ended_too_early_has_had_only_what_it_was_asked_for() -> None:
    nan = np.nan
    tried = Tried(np.array([[1, 0.5], [2, nan], [3, nan]]), [True, False, True], [True] * 3)
    assert [tried(np.array(row)) for row in ([2, 0.5], [2, nan], [3, 0.5])] == [False, True, True]


def test_a_trial_of_other_configurations_has_had_no_row_but_was_asked_for_what_it_has() -> None:
    nan = np.nan
    tried = Tried(np.array([[0, nan], [1, 0.5], [2, nan]]), [True] * 3, [True, False, True])
    assert [tried(np.array(row)) for row in ([1, 0.5], [2, 0.5], [0, 0.5])] == [False, True, False]


@given(st.integers(0, 2**32), st.floats(0.01, 2))
def test_every_row_is_a_configuration_that_its_distributions_allow(seed: int, width: float) -> None:
    encoding = Encoding(SPACE)
    moved = encoding.mutated(np.random.default_rng(seed), rows(seed, 5), width)
    for row in (*rows(seed, 5), *moved):
        for name, value in encoding.params(row).items():
            distribution = SPACE[name]
            assert distribution._contains(distribution.to_internal_repr(value)), (name, value)


@given(st.integers(0, 2**32))
def test_a_configuration_comes_back_from_its_row(seed: int) -> None:
    encoding = Encoding(SPACE)
    for row in rows(seed, 5):
        params = encoding.params(row)
        again = encoding.row(params)
        assert encoding.params(again) == pytest.approx(params)
        assert again == pytest.approx(row, abs=1e-9)


def test_random_values_are_even_in_the_logarithm_and_over_steps_and_choices() -> None:
    encoding = Encoding(SPACE)
    params = [encoding.params(row) for row in rows(0, 4000)]
    assert np.median([p["lr"] for p in params]) == pytest.approx(1e-2, rel=0.2)
    for name, n in (("dropout", 5), ("depth", 4), ("kind", 4)):
        shares = [sum(p[name] == value for p in params) / 4000 for value in {p[name] for p in params}]
        assert len(shares) == n
        assert shares == pytest.approx([1 / n] * n, abs=0.03)


def test_what_is_absent_stays_absent_and_stands_in_the_middle() -> None:
    encoding = Encoding({"x": FloatDistribution(0, 1), "c": CategoricalDistribution(["a", "b"])})
    row = encoding.row({"c": "b"})
    assert np.isnan(row[0])
    assert encoding.params(row) == {"c": "b"}
    features = encoding.features(np.array([row, encoding.row({"x": 0.25, "c": "a"})]))
    assert features[:, 0].tolist() == [0.5, 0.25]
    assert np.linalg.norm(features[0, 1:] - features[1, 1:]) == pytest.approx(1)


def test_old_values_outside_a_range_that_changed_keep_their_order() -> None:
    encoding = Encoding({"x": FloatDistribution(1, 2), "y": FloatDistribution(1, 2, log=True)})
    assert encoding.row({"x": 5, "y": 4}) == pytest.approx([4, 2])
    assert encoding.row({"x": 0, "y": 0})[0] == -1


def test_a_range_whose_ends_have_one_logarithm_has_values() -> None:
    low, high = 1e-3, float(np.nextafter(1e-3, 1))
    narrow = Encoding({"x": FloatDistribution(low, high, log=True)})
    assert low <= narrow.params(narrow.row({"x": high}))["x"] <= high


def test_mutation_moves_something_in_every_row_and_draws_absent_cells() -> None:
    encoding = Encoding(SPACE)
    before = rows(0)
    before[:, 2] = np.nan
    after = encoding.mutated(np.random.default_rng(1), before, 0.3)
    assert not np.isnan(after).any()
    assert (np.abs(after - before) > 0)[:, [0, 1, 3, 4, 5]].any(1).mean() > 0.7


def test_given_parameters_replace_whatever_rows_had() -> None:
    encoding = Encoding(SPACE)
    given_rows = encoding.with_fixed(rows(0), {"kind": 3, "lr": 0.01, "unknown": 1})
    params = [encoding.params(row) for row in given_rows]
    assert {p["kind"] for p in params} == {3}
    assert [p["lr"] for p in params] == pytest.approx([0.01] * len(params))
    assert len({p["momentum"] for p in params}) > 1


NESTED: dict[str, BaseDistribution] = {
    "arch": CategoricalDistribution(["a", "b", "c"]),
    "deep": CategoricalDistribution([False, True]),
    "layers": IntDistribution(1, 3),
    "levels": FloatDistribution(0, 1),
    "units2": FloatDistribution(0, 1),
    "x": FloatDistribution(0, 1),
}


def asked(params: dict[str, Any]) -> dict[str, Any]:
    """Return what a define-by-run script would ask for."""
    kept = {"arch", "layers", "x"}
    kept |= {"deep"} if params["arch"] == "c" else set()
    kept |= {"levels"} if params["arch"] == "c" and params["deep"] else set()
    kept |= {"units2"} if params["layers"] >= 2 else set()
    return {name: value for name, value in params.items() if name in kept}


@pytest.mark.parametrize("seed", range(5))
def test_presence_is_learned_through_nested_and_numeric_conditions(seed: int) -> None:
    encoding, rng = Encoding(NESTED), np.random.default_rng(seed)
    whole = [encoding.params(row) for row in encoding.random(rng, 140)]
    seen = np.array([encoding.row(asked(params)) for params in whole[:80]])
    candidates = np.array([encoding.row(params) for params in whole[80:]])
    learned = [encoding.params(row) for row in Presence(encoding, seen)(candidates)]
    wanted = [asked(params) for params in whole[80:]]
    assert [set(params) for params in learned] == [set(params) for params in wanted]


def test_what_few_trials_of_a_branch_had_does_not_bind_its_other_parameters() -> None:
    encoding = Encoding(NESTED)
    branch = {"arch": "c", "deep": True, "layers": 1, "x": 0.5}
    seen = [branch | {"levels": 0.1 * i, "x": 0.09 * i} for i in range(3)] + [{"arch": "a", "layers": 1, "x": 0.3}]
    new = branch | {"levels": 0.77, "x": 0.66}
    learned = Presence(encoding, np.array([encoding.row(params) for params in seen]))
    assert encoding.params(learned(encoding.row(new)[None])[0]) == pytest.approx(new)
    unseen = encoding.params(learned(encoding.row(new | {"deep": False})[None])[0])
    assert unseen["deep"] is False, "it may be that levels depends on it, not that it depends on levels"


def test_a_space_without_conditions_loses_nothing() -> None:
    encoding = Encoding(SPACE)
    np.testing.assert_array_equal(Presence(encoding, rows(0))(rows(1)), rows(1))


@pytest.mark.parametrize("seed", range(5))
def test_no_configuration_of_a_small_space_is_tried_twice_while_there_are_others(seed: int) -> None:
    def ask(trial: Trial) -> tuple[Any, ...]:
        dropout, kind = (
            trial.suggest_float("dropout", 0, 0.3, step=0.1),
            trial.suggest_categorical("kind", ["sgd", "adam"]),
        )
        return round(dropout, 6), kind, trial.suggest_categorical("momentum", [0.8, 0.9]) if kind == "sgd" else None

    study = fidelity(seed=seed)
    study.enqueue_trial({"dropout": 0.3, "kind": "adam"})  # 3 * 0.1 is a little more
    assert len(set(run(study, ask, lambda given, epoch: given[0] * epoch, 12))) == 12
    assert len(run(study, ask, lambda given, epoch: given[0] * epoch, 2)) == 2


@pytest.mark.parametrize("seed", range(5))
def test_a_condition_that_the_trials_do_not_tell_costs_a_small_space_one_repeat_at_most(seed: int) -> None:
    def ask(trial: Trial) -> tuple[Any, ...]:
        patience, plateau = trial.suggest_categorical("patience", [0, 5]), trial.suggest_categorical("plateau", [0, 1])
        return patience, plateau, trial.suggest_categorical("by", ["nll", "ece"]) if patience or plateau else None

    assert len(set(run(fidelity(seed=seed), ask, lambda given, epoch: given[0] + epoch, 8))) == 7


def test_running_trials_of_a_small_space_count_as_tried() -> None:
    study = fidelity()
    assert {study.ask().suggest_int("depth", 1, 6) for _ in range(6)} == {1, 2, 3, 4, 5, 6}


@pytest.mark.parametrize("seed", range(3))
def test_a_trial_that_failed_before_it_was_asked_for_everything_blocks_no_branch_of_a_small_space(seed: int) -> None:
    study, kinds = fidelity(seed=seed), []
    for _ in range(30):
        trial = study.ask()
        kinds.append(trial.suggest_categorical("kind", ["a", "b"]))
        if kinds[-1] == "a" and kinds.count("a") == 2:
            study.tell(trial, state=TrialState.FAIL)
            continue
        x = trial.suggest_int("x", 1, 20)
        study.tell(trial, (2 if kinds[-1] == "a" else 1) * x)
    assert kinds[15:].count("a") >= 5


def test_a_failed_trial_of_a_small_space_is_not_repeated() -> None:
    study, asked = fidelity(), []
    for _ in range(8):
        trial = study.ask()
        kind = trial.suggest_categorical("kind", ["a", "b"])
        asked.append((kind, trial.suggest_int("x", 1, 5) if kind == "a" else None))
        study.tell(trial, None if kind == "b" else 1.0, state=None if kind == "a" else TrialState.FAIL)
        if len(set(asked)) == 6:
            break
    assert len(set(asked)) == len(asked)


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution should be")
def test_choices_may_be_lists() -> None:
    study = fidelity(startup=3)
    ask = lambda t: (t.suggest_categorical("layers", [[32, 32], [64]]), t.suggest_float("x", 0, 1))  # noqa: E731
    study.enqueue_trial({"layers": [64], "x": 0.5})
    trial = study.ask()
    ask(trial)
    study.tell(trial, state=TrialState.FAIL)  # what failed is compared with what worked
    asked = run(study, ask, lambda given, epoch: len(given[0]) * epoch, 15)
    assert [len(layers) for layers, _ in asked[8:]].count(2) >= 5
