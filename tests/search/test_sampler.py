"""What `FidelitySampler` promises."""

import copy
import pickle
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import Trial, TrialState
from threadpoolctl import threadpool_info, threadpool_limits

from ferhpo.search import sampler as module
from ferhpo.search.sampler import FidelitySampler
from ferhpo.search.surrogate import fidelity as fidelity_model
from tests.search.plain import EPOCHS, fidelity, run


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def asha(study: Study, ask: Callable[[Trial], Any], value: Callable[[Any, int], float], epochs: int) -> float:
    """Search with stop-type halving at epochs 1 and 3 until so many epochs are spent; return the best last value."""
    rungs: dict[int, list[float]] = {1: [], 3: []}
    best = -np.inf
    while epochs > 0:
        trial = study.ask()
        params = ask(trial)
        for epoch in range(1, EPOCHS + 1):
            epochs -= 1
            now = value(params, epoch)
            trial.report(now, epoch)
            if epoch in rungs:
                rungs[epoch].append(now)
                if now < sorted(rungs[epoch])[-max(1, len(rungs[epoch]) // 3)]:
                    study.tell(trial, state=TrialState.PRUNED)
                    break
        else:
            study.tell(trial, value(params, EPOCHS))
            best = max(best, value(params, EPOCHS))
    return best


def proposals(study: Study, name: str, n: int) -> list[float]:
    """Return what is proposed for one parameter when nothing is running; each proposal is told to have failed."""
    asked = []
    for _ in range(n):
        trial = study.ask()
        asked.append(trial.suggest_float(name, 0, 1))
        study.tell(trial, state=TrialState.FAIL)
    return asked


def three(trial: Trial) -> tuple[float, float, float]:
    return trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1), trial.suggest_float("z", 0, 1)


def crossing(at: tuple[float, float, float], epoch: int) -> float:
    """Return a curve: best at (.3, .6, .5) in the end, while a large x is ahead in the first epochs."""
    x, y, z = at
    end = 1 - abs(x - 0.3) - abs(y - 0.6) - 0.5 * abs(z - 0.5)
    return end - 2 * (1 - x) / epoch


def test_it_beats_random_search_on_curves_that_cross() -> None:
    def best(made: BaseSampler) -> float:
        return asha(optuna.create_study(direction="maximize", sampler=made), three, crossing, 110)

    ours = [best(FidelitySampler(EPOCHS, seed)) for seed in range(5)]
    random = [best(RandomSampler(seed=seed)) for seed in range(5)]
    assert np.mean(ours) > np.mean(random)
    assert sum(a > b for a, b in zip(ours, random, strict=True)) >= 3


def test_evidence_at_full_budget_outweighs_what_the_first_epochs_say() -> None:
    """Many trials stopped at once say that a large x is good; the few that went on say that it is not."""
    study = fidelity(seed=1)
    for i in range(40):
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        x = trial.params["x"]
        trial.report(x, 1)
        if i % 2:
            study.tell(trial, state=TrialState.PRUNED)
            continue
        for epoch in (3, EPOCHS):
            trial.report(3 - x if epoch == EPOCHS else 1.5, epoch)
        study.tell(trial, 3 - x)
    assert np.median(proposals(study, "x", 20)) < 0.25


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1), ("minimize", -1)])
def test_both_directions_lead_to_their_own_best(direction: Literal["maximize", "minimize"], sign: int) -> None:
    study = fidelity(direction)
    asked = run(study, lambda t: t.suggest_float("x", 0, 1), lambda x, e: sign * (e - (x - 0.8) ** 2), 40)
    assert abs(np.median(asked[20:]) - 0.8) < 0.1


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_scale_of_the_values_changes_nothing(scale: float) -> None:
    def asked(by: float) -> list[float]:
        return run(fidelity(), lambda t: t.suggest_float("x", 0, 1), lambda x, e: by * (e - x), 16)

    assert asked(scale) == asked(1.0)


def test_zombies_near_the_best_do_not_repel_for_ever() -> None:
    study = fidelity()
    for _ in range(5):  # left running by a search that was killed
        zombie = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        study._storage.set_trial_param(zombie._trial_id, "y", 0.8, optuna.distributions.FloatDistribution(0, 1))
    asked = run(study, lambda t: t.suggest_float("y", 0, 1), lambda y, e: -((y - 0.8) ** 2), module.PENDING + 25)
    assert np.mean(np.abs(np.array(asked[module.PENDING :]) - 0.8) < 0.05) > 0.5


def test_parallel_workers_get_different_proposals() -> None:
    study = fidelity(startup=3)
    run(study, three, crossing, 4)
    asked = [three(study.ask()) for _ in range(8)]
    assert len({tuple(round(x, 1) for x in at) for at in asked}) >= 5


def test_conditional_parameters_are_learned_in_their_branch() -> None:
    def ask(trial: Trial) -> dict[str, Any]:
        trial.suggest_categorical("kind", ["a", "b", "c"])
        if trial.params["kind"] == "b":
            trial.suggest_float("b", 0, 1)
        elif trial.params["kind"] == "c":
            trial.suggest_categorical("deep", [True, False])
            if trial.params["deep"]:
                trial.suggest_float("levels", 0.01, 1)
        return dict(trial.params)

    def value(params: dict[str, Any], epoch: int) -> float:
        good = {"a": 0.2, "b": 0.1 * params.get("b", 0), "c": 0.0}[params["kind"]]
        return good + params.get("levels", 0) - 1 / epoch

    asked = run(fidelity(), ask, value, 60)
    late = asked[35:]
    assert np.mean([p.get("levels", 0) > 0.8 for p in late]) > 0.5
    assert all(("levels" in p) == p.get("deep", False) for p in asked)


def test_changed_ranges_are_followed_and_old_trials_still_count() -> None:
    study = fidelity()
    run(study, lambda t: t.suggest_float("x", 0, 1), lambda x, e: x, 15)
    asked = run(study, lambda t: t.suggest_float("x", 0.5, 3), lambda x, e: x, 25)
    assert all(0.5 <= x <= 3 for x in asked)
    assert np.median(asked[10:]) > 2


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_no_numbers_count_as_the_worst(bad: float) -> None:
    study = fidelity()
    asked = []
    for _ in range(60):
        trial = study.ask()
        asked.append(trial.suggest_float("x", 0, 1))
        trial.report(bad if asked[-1] > 0.6 else asked[-1], 1)
        study.tell(trial, state=TrialState.PRUNED)
    assert np.mean([x < 0.6 for x in asked[40:]]) > 0.75


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_values_that_are_all_the_same_are_survived(value: float) -> None:
    study = fidelity()
    for _ in range(15):
        trial = study.ask()
        trial.suggest_categorical("only", ["one"])
        trial.suggest_categorical("c", ["one", "two"])
        trial.report(value, 1)
        study.tell(trial, state=TrialState.PRUNED)


def test_what_a_failed_trial_reported_is_no_evidence_and_a_value_without_reports_is() -> None:
    study = fidelity(startup=5)
    for x in np.linspace(0, 1, 30):
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        study._storage.set_trial_param(trial._trial_id, "y", float(x), optuna.distributions.FloatDistribution(0, 1))
        if x > 0.5:
            trial.report(100.0, EPOCHS)
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, 1 - float(x))
    assert np.median(proposals(study, "y", 15)) < 0.1


def test_it_never_stops_exploring() -> None:
    asked = run(fidelity(), lambda t: t.suggest_float("x", 0, 1), lambda x, e: x, 70)
    assert sum(x < 0.7 for x in asked[20:]) >= 3


@pytest.mark.parametrize(("whole", "share"), [(0, 1.0), (1, 0.5), (3, 0.25), (20, 0.15)])
def test_fewer_trials_are_random_the_more_have_seen_the_end(whole: int, share: float) -> None:
    made = FidelitySampler(max_epochs=EPOCHS, seed=0)
    study = optuna.create_study(sampler=made)
    for number in range(20):
        study.add_trial(
            optuna.create_trial(value=0.5, state=TrialState.COMPLETE if number < whole else TrialState.PRUNED)
        )
    assert made._explored(study, 20) == pytest.approx(share)
    assert made._explored(study, 40) == pytest.approx(min(share, 0.5)), "though none may ever be complete"


@pytest.mark.parametrize(
    ("state", "objectives"), [(TrialState.FAIL, 1), (TrialState.PRUNED, 1), (TrialState.PRUNED, 2)]
)
def test_it_keeps_away_from_where_trials_fail_or_are_pruned_at_once(state: TrialState, objectives: int) -> None:
    made = FidelitySampler(EPOCHS, 0, startup=5)
    study, asked = optuna.create_study(directions=("maximize", "maximize")[:objectives], sampler=made), []
    for _ in range(40):
        trial = study.ask()
        asked.append(trial.suggest_float("x", 0, 1))
        if asked[-1] > 0.7:
            study.tell(trial, state=state)
        else:
            if objectives == 1:  # Optuna lets trials of several report nothing
                trial.report(asked[-1], EPOCHS)
            study.tell(trial, [asked[-1]] * objectives)
    assert sum(x > 0.7 for x in asked[20:]) <= 6  # a fifth of them explore
    assert max(x for x in asked if x <= 0.7) > 0.65


def test_a_configuration_that_failed_once_and_worked_then_counts_by_its_value() -> None:
    study = fidelity(startup=3)
    for x in (0.0, 0.3, 0.6, 0.95):
        study.enqueue_trial({"x": x})
    run(study, lambda t: t.suggest_float("x", 0, 1), lambda x, e: x, 4)
    before = proposals(study, "x", 8)
    for x in (0.9, 0.95, 1.0):  # each fails, then works
        study.enqueue_trial({"x": x})
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        study.tell(trial, state=TrialState.FAIL)
        study.enqueue_trial({"x": x})
        run(study, lambda t: t.suggest_float("x", 0, 1), lambda x, e: x, 1)
    assert np.median(before) > 0.8
    assert np.median(proposals(study, "x", 8)) > 0.8


def test_what_is_fixed_by_hand_is_kept_and_the_rest_proposed_for_it() -> None:
    study = fidelity(startup=3)
    ask = lambda t: (t.suggest_categorical("c", ["a", "b"]), t.suggest_float("x", 0, 1))  # noqa: E731
    value = lambda p, e: -((p[1] - (0.1 if p[0] == "a" else 0.9)) ** 2)  # noqa: E731
    run(study, ask, value, 12)
    for _ in range(12):
        study.enqueue_trial({"c": "a"})
    asked = run(study, ask, value, 12)
    assert all(c == "a" for c, _ in asked)
    assert sum(x < 0.3 for _, x in asked) >= 6


def test_a_parameter_that_is_searched_no_more_is_not_proposed() -> None:
    study = fidelity(startup=3)
    run(study, three, crossing, 12)
    made = FidelitySampler(EPOCHS, 0, names=["x", "y", "new"])
    assert made.infer_relative_search_space(study, study.ask()._cached_frozen_trial).keys() == {"x", "y"}


def test_nothing_is_proposed_twice_beside_a_parameter_of_one_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    proposed: list[dict[str, Any]] = []
    sample = FidelitySampler.sample_relative

    def noted(*args: Any) -> dict[str, Any]:
        proposed.append(sample(*args))
        return proposed[-1]

    monkeypatch.setattr(FidelitySampler, "sample_relative", noted)

    def ask(trial: Trial) -> str:
        trial.suggest_categorical("only", ["one"])
        return trial.suggest_categorical("c", [*"abcdefghij"])

    asked = run(fidelity(startup=3), ask, lambda c, e: float("abcdefghij".index(c)), 30)
    assert any(proposed)
    for i, one in enumerate(proposed):
        assert one.get("c") not in asked[:i]


@pytest.mark.parametrize(
    ("state", "params"),
    [(TrialState.FAIL, {}), (TrialState.FAIL, {"x": 0.9, "y": 0.9, "z": 0.9}), (TrialState.PRUNED, {})],
)
def test_a_trial_that_never_began_or_was_queued_again_tells_nothing(
    state: TrialState, params: dict[str, float]
) -> None:
    ranges: dict[str, BaseDistribution] = dict.fromkeys(params, optuna.distributions.FloatDistribution(0, 1))
    attrs = {"interrupted": True} if params else {}
    alone, beside = fidelity(startup=5), fidelity(startup=5)
    assert run(alone, three, crossing, 1) == run(beside, three, crossing, 1)
    for _ in range(4):
        beside.add_trial(optuna.create_trial(state=state, params=params, distributions=ranges, user_attrs=attrs))
    assert run(alone, three, crossing, 16) == run(beside, three, crossing, 16)


def test_work_per_proposal_stays_bounded_at_5000_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    study = fidelity()
    x = optuna.distributions.FloatDistribution(0, 1)
    rng = np.random.default_rng(0)
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={"x": u, "y": v},
                distributions={"x": x, "y": x},
                value=u,
                intermediate_values={e: u - v / e for e in range(1, 21)},
            )
            for u, v in rng.random((5000, 2))
        ]
    )
    fits: list[int] = []

    fitted = fidelity_model._fitted

    def counted_fit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        fits.append(len(x))
        return fitted(x, y)

    read: list[int] = []

    def counted(*args: Any, **kwargs: Any) -> fidelity_model.Curve:
        read.append(1)
        return fidelity_model.curve(*args, **kwargs)

    monkeypatch.setattr(fidelity_model, "_fitted", counted_fit)
    monkeypatch.setattr(module, "curve", counted)
    for _ in range(20):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        trial.suggest_float("y", 0, 1)
        trial.report(0.5, 1)
        study.tell(trial, state=TrialState.PRUNED)
    assert len(fits) == 1
    assert fits[0] <= 300
    assert len(read) < 5000 + 60


def test_a_returned_value_that_was_not_reported_is_the_last_one() -> None:
    study = fidelity(startup=5)
    for x in np.linspace(0, 1, 30):
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        trial.report(float(x), EPOCHS)  # a loss, say, and what is returned an accuracy
        study._storage.set_trial_param(trial._trial_id, "y", float(x), optuna.distributions.FloatDistribution(0, 1))
        study.tell(trial, 1 - float(x))
    assert np.median(proposals(study, "y", 15)) < 0.25


def test_a_sampler_that_is_copied_or_pickled_proposes_what_the_original_would() -> None:
    for copied in (copy.deepcopy, lambda sampler: pickle.loads(pickle.dumps(sampler))):
        study, again = fidelity(startup=3), fidelity(startup=3)
        run(study, three, crossing, 5)
        run(again, three, crossing, 5)
        again.sampler = copied(again.sampler)
        assert run(study, three, crossing, 3) == run(again, three, crossing, 3)


def test_a_study_that_is_gone_on_with_under_the_same_seed_has_no_random_trial_again() -> None:
    study, asked = optuna.create_study(), []
    for _ in range(5):
        study.sampler = FidelitySampler(EPOCHS, seed=0)
        asked += run(study, lambda t: t.suggest_float("x", 0, 1), lambda x, e: x / e, 2)
    assert len(set(asked)) == 10


def test_a_study_of_the_same_name_elsewhere_is_another_one() -> None:
    sampler, asked = FidelitySampler(EPOCHS, 0, startup=4), []
    for best in (0.1, 0.9):
        study = optuna.create_study(study_name="same", direction="maximize", sampler=sampler)
        asked = run(study, lambda t: t.suggest_float("x", 0, 1), lambda x, _, best=best: -abs(x - best), 30)
    assert np.median(np.abs(np.array(asked[15:]) - 0.9)) < 0.1


def test_max_epochs_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="max_epochs must be at least 1, got 0"):
        FidelitySampler(0, 0)


def test_a_proposal_takes_one_thread_whatever_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            threads.extend(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
            return real(*given)

        return call

    monkeypatch.setattr(module, "proposed", counted(module.proposed))
    monkeypatch.setattr(fidelity_model, "_fitted", counted(fidelity_model._fitted))
    with threadpool_limits(2, user_api="blas"):
        run(fidelity(startup=2), lambda t: t.suggest_float("x", 0, 1), lambda x, epoch: x * epoch, 8)
    assert set(threads) == {1}
