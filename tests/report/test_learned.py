"""What a study learned, against studies whose values are a known function of their parameters."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest

from ferhpo.report import frames, learned
from ferhpo.report.facts import facts
from ferhpo.report.pick import records, total
from ferhpo.space.dimension import Dimension
from ferhpo.space.spec import parse_spec
from ferhpo.study.study import Study
from tests.report.made_up_study import BEST, Maker, make_study

Value = Callable[[dict[str, Any]], float]


def interacting(p: dict[str, Any]) -> float:
    return p["a"] if p["kind"] == "x" else 1 - p["a"]


def additive(p: dict[str, Any]) -> float:
    return p["a"] + 0.5 * p["b"] + (0.3 if p["kind"] == "x" else 0.0)


def made(full: Study, value: Value, n: int = 48, complete: int = 24) -> Study:
    """Return a study in memory: the first trials COMPLETE at epoch 4, the others PRUNED at epoch 1."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.set_user_attr("metric", "accuracy")
    for i in range(n):
        trial = study.ask()
        params = {
            "a": trial.suggest_float("a", 0, 1),
            "b": trial.suggest_float("b", 0, 1),
            "kind": trial.suggest_categorical("kind", ["x", "y"]),
        }
        if params["kind"] == "x":
            trial.suggest_float("only_x", 0, 1)
        for epoch in (1, 2, 4) if i < complete else (1,):
            trial.report(value(params) - 0.5 / epoch, epoch)
        if i < complete:
            study.tell(trial, value(params) - 0.5 / 4)
        else:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return replace(full, optuna_study=study)


def test_a_pair_that_interacts_is_found_and_no_other(full: Study) -> None:
    found = learned.pairs(made(full, interacting), 4)
    assert found.reason == ""
    first = records(found.table)[0]
    assert {first["first"], first["second"]} == {"a", "kind"}
    assert first["share"] > 0.5
    assert all(row["share"] < 0.1 for row in records(found.table)[1:])


def test_an_additive_study_has_no_pairs_worth_naming(full: Study) -> None:
    found = learned.pairs(made(full, additive), 4)
    assert found.reason == ""
    assert all(row["share"] < 0.05 for row in records(found.table))


def test_a_setting_that_exists_with_one_choice_alone_is_no_pair_with_it(full: Study) -> None:
    study = made(full, lambda p: p["a"] + (0.5 if p["kind"] == "x" else 0.0))
    named = [{row["first"], row["second"]} for row in records(learned.pairs(study, 4).table)]
    assert {"kind", "only_x"} not in named


def test_few_trials_are_refused_with_the_reason(full: Study) -> None:
    few = learned.pairs(made(full, additive, n=20), 4)
    assert few.table.empty
    assert few.reason == "pairs need at least 30 trials with values, 8 of them COMPLETE, there are 20 and 20 so far"
    assert "48 and 3 so far" in learned.pairs(made(full, additive, complete=3), 4).reason


def test_a_model_that_predicts_nothing_is_not_believed(full: Study) -> None:
    noise = iter(range(10**6))
    found = learned.pairs(made(full, lambda _: (next(noise) * 7919 % 1009) / 1009), 4)
    assert "of the variance of COMPLETE trials that it has not seen" in found.reason


def test_the_best_of_each_choice_is_complete_before_pruned() -> None:
    lines = [("COMPLETE", 0.6, "x"), ("PRUNED", 0.9, "x"), ("PRUNED", 0.5, "y"), ("FAIL", None, "z")]
    table = pd.DataFrame([{"number": i, "state": s, "value": v, "params_kind": k} for i, (s, v, k) in enumerate(lines)])
    table["feasible"] = True
    dimension = Dimension(name="optimizer", choices=("sgd", "adamw"), default="sgd")
    found = records(learned.by_choice(table, {"kind": dimension}, maximize=True))
    assert [(r["choice"], r["trials"], r["best"], r["number"]) for r in found] == [("x", 2, 0.6, 0), ("y", 1, 0.5, 2)]


def test_the_best_of_a_choice_keeps_the_constraints() -> None:
    lines = [(0.3, "x", False), (0.9, "x", False), (0.5, "y", True), (0.99, "y", False)]
    table = pd.DataFrame(
        [
            {"number": i, "state": "COMPLETE", "value": v, "params_kind": k, "arch": k, "feasible": kept}
            for i, (v, k, kept) in enumerate(lines)
        ]
    ).assign(parameters=1.0, images_per_second=1.0, seconds=1.0)
    dimension = Dimension(name="optimizer", choices=("sgd", "adamw"), default="sgd")
    found = records(learned.by_choice(table, {"kind": dimension}, maximize=True))
    assert [(r["choice"], r["trials"], r["best"]) for r in found] == [("y", 1, 0.5)]
    assert [(r["arch"], r["best"]) for r in records(learned.by_architecture(table, maximize=True))] == [("y", 0.5)]


def test_a_choice_is_called_as_it_was_written_where_some_trials_lack_it() -> None:
    lines = [("COMPLETE", 0.6, 32), ("COMPLETE", 0.5, None)]
    table = pd.DataFrame(
        [{"number": i, "state": s, "value": v, "params_width": k} for i, (s, v, k) in enumerate(lines)]
    )
    table["feasible"] = True
    dimension = Dimension(name="width", choices=(16, 32), default=16)
    assert [r["choice"] for r in records(learned.by_choice(table, {"width": dimension}, maximize=True))] == ["32"]


def test_all_of_it_is_read_from_a_study(full: Study) -> None:
    found = learned.learned(full, facts(full), frames.trials(full.trials()))
    assert {r["state"]: r["trials"] for r in records(found.budget)}["COMPLETE"] == 11
    assert {r["parameter"] for r in records(found.choices)} == {"arch", "optimizer"}
    assert found.importances.reason == learned.importances(full).reason
    assert "pairs need at least 30 trials" in found.pairs.reason


def test_a_study_without_trials_has_learned_nothing(empty: Study) -> None:
    found = learned.learned(empty, facts(empty), frames.trials(empty.trials()))
    assert found.choices.empty
    assert found.pairs.reason


def test_best_by_architecture_names_the_best_trial_of_each(full: Study) -> None:
    table = frames.trials(full.trials())
    found = learned.by_architecture(table, maximize=True)
    assert found["arch"].is_unique
    assert (found["arch"][0], found["number"][0], found["best"][0]) == ("resnet9s", BEST, 0.95)
    assert total(found, "trials") == len(frames.ended(table))
    assert learned.by_architecture(table.head(0), maximize=True).empty


def test_importances_name_the_parameter_that_matters(full: Study) -> None:
    found = learned.importances(full)
    assert found.reason == ""
    assert total(found.table, "importance") == pytest.approx(1)
    assert set(found.table["parameter"]) == {"arch", "optimizer", "lr", "momentum", "dropout"}
    assert found.table["importance"].is_monotonic_decreasing


def test_importances_of_few_trials_are_refused_with_the_reason(empty: Study) -> None:
    found = learned.importances(empty)
    assert found.table.empty
    assert found.reason == "importances need at least 8 COMPLETE trials, there are 0 so far"


def test_importances_of_one_parameter_are_refused_with_the_reason(tmp_path: Path) -> None:
    spec = parse_spec("[space]\nlr = { low = 0.001, high = 0.4, default = 0.1 }\n", name="one")

    def fill(maker: Maker) -> None:
        for _ in range(learned.WEIGHED):
            maker.trial("COMPLETE")

    found = learned.importances(make_study(tmp_path, fill, spec))
    assert found.reason == "importances need at least 2 parameters that vary, there is 1"
