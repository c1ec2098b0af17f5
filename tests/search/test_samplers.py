"""Every sampler by name through one suite."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import optuna
import pytest
from conftest import open_writer, run_session
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from ferhpo.errors import SpecError
from ferhpo.search import sampler as module
from ferhpo.search.budget import Limits
from ferhpo.search.recovery import settle
from ferhpo.search.samplers import Ranked, sampler
from ferhpo.search.session import Session
from ferhpo.search.surrogate.fidelity import Surrogate
from ferhpo.search.surrogate.proposal import proposed
from ferhpo.space.aims import Constraint
from ferhpo.space.sections import SAMPLERS
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.study.attrs import EXCESSES
from ferhpo.study.study import Study
from tests.search.plain import EPOCHS, run

FLAT = """
lr = { low = 0.001, high = 1.0, log = true, default = 0.1 }
dropout = { low = 0.0, high = 0.8, step = 0.2, default = 0.2 }
width = { low = 8, high = 64, log = true, default = 32 }
augment = { low = 0.0, high = 1.0, default = 0.5 }
batch_size = { choices = [64, 128], default = 128 }
"""
CONDITIONAL = """
optimizer = { choices = ["sgd", "adamw"], default = "sgd" }
lr = { low = 0.001, high = 1.0, log = true, default = 0.1 }
momentum = { low = 0.5, high = 0.99, default = 0.9 }
"""
DIALS = ("flip", "shift", "rotation", "scale", "cutout")
CHOICES = """
optimizer = { choices = ["sgd", "adamw"], default = "sgd" }
batch_size = { choices = [64, 128], default = 64 }
"""


def spec(name: str, space: str = FLAT, sampler_extra: str = "") -> StudySpec:
    text = f"[budget]\nepochs = {EPOCHS}\n[sampler]\nname = '{name}'\nstartup = 3\n{sampler_extra}\n[space]\n{space}"
    return parse_spec(text, name="toy")


def space_of(name: str) -> str:
    return FLAT if name in {"cmaes", "grid"} else CONDITIONAL


def drawn(name: str, done: int = 0, trials: int = 6) -> list[Any]:
    made = spec(name, space_of(name))
    study = optuna.create_study(direction="maximize", sampler=sampler(made, done))
    return run(study, lambda t: (made.space.sample(t), t.params)[1], lambda p, e: -p["lr"] - 1 / e, trials)


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_same_seed_draws_the_same_points_in_a_space_it_takes(name: str) -> None:
    first = drawn(name)
    assert first == drawn(name)
    assert len({str(sorted(params.items())) for params in first}) > 3


@pytest.mark.parametrize("name", [n for n in SAMPLERS if n not in {"qmc", "grid"}])  # which go on from the study
def test_a_search_that_goes_on_draws_other_points_than_at_its_start(name: str) -> None:
    assert drawn(name, done=0, trials=2) != drawn(name, done=5, trials=2)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_study_of_running_failed_pruned_and_queued_trials_is_survived(name: str) -> None:
    made = spec(name, space_of(name))
    study = optuna.create_study(direction="maximize", sampler=sampler(made, 0))
    study.enqueue_trial(made.space.defaults())
    for number in range(8):
        trial = study.ask()
        made.space.sample(trial)
        if number % 4 < 3:
            trial.report(float(number), 1)
            state = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)[number % 4]
            study.tell(trial, number if state == TrialState.COMPLETE else None, state=state)
    assert len(study.trials) == 8


@pytest.mark.parametrize(
    ("name", "space", "message"),
    [
        ("cmaes", CONDITIONAL, "toy.*:4: cmaes takes a space in which every dimension always applies, got momentum"),
        ("grid", CONDITIONAL, "grid takes a space in which every dimension always applies"),
        ("cmaes", CHOICES, "cmaes needs at least one range, got choices only"),
    ],
)
def test_a_space_that_a_sampler_cannot_take_is_refused_in_one_sentence(name: str, space: str, message: str) -> None:
    with pytest.raises(SpecError, match=message.replace("toy.*:4", ":4")):
        sampler(spec(name, space), 0)


def test_constraints_are_refused_by_the_sampler_that_ignores_them() -> None:
    made = replace(spec("cmaes"), constraints=(Constraint.parse("params <= 700"),))
    with pytest.raises(SpecError, match="cmaes takes no constraints, got params <= 700; choose fidelity"):
        sampler(made, 0)


def test_tpe_with_several_objectives_leaves_out_what_an_earlier_scheduler_stopped() -> None:
    """But not what a constraint ended, of which it learns."""
    study = optuna.create_study(directions=["maximize", "minimize"])
    made = parse_spec("metric = ['accuracy', 'params']\nscheduler = { name = 'none' }\n" + spec("tpe").text, name="toy")
    study.sampler = sampler(made, 0)
    for excess in (0.0, 1.0):
        told: dict[str, Any] = {"intermediate_values": {1: 0.5}, "system_attrs": {EXCESSES: [excess]}}
        study.add_trial(optuna.trial.create_trial(state=TrialState.PRUNED, **told))
    for _ in range(6):  # the model is used from the fourth on
        trial = study.ask()
        made.space.sample(trial)
        study.tell(trial, (0.5, 1.0))
    assert [t.number for t in Ranked(RandomSampler()).seen(study).trials] == [*range(1, 8)]


@pytest.mark.parametrize("state", [TrialState.PRUNED, TrialState.WAITING])
def test_gp_does_not_propose_again_what_was_stopped_or_paused(state: TrialState) -> None:
    """It sees no such trial, and so nothing that would change its mind."""
    steps = "{ low = 0.0, high = 0.8, step = 0.1, default = 0.1 }"
    made = spec("gp", f"dropout = {steps}\nsmoothing = {steps}")
    study = optuna.create_study(direction="maximize", sampler=sampler(made, 0))
    kept: list[dict[str, Any]] = []
    for _ in range(25):
        trial = optuna.Trial(study, study._storage.create_new_trial(study._study_id))  # `ask` would begin what waits
        made.space.sample(trial)
        assert trial.relative_params not in kept
        if trial.params["dropout"] > 0.4:
            kept.append(trial.params)
            study._storage.set_trial_state_values(trial._trial_id, state)
        else:
            study.tell(trial, trial.params["dropout"])


def test_the_first_trials_do_not_repeat_the_defaults() -> None:
    """Whose logarithm is not to the bit what it was."""
    lr = "lr = { low = 0.001, high = 0.5, log = true, default = 0.1 }"
    for seed in range(20):
        made = replace(
            spec("fidelity", f"arch = {{ choices = ['resnet9s', 'vgg8'], default = 'resnet9s' }}\n{lr}"), seed=seed
        )
        study = optuna.create_study(direction="maximize", sampler=sampler(made, 0))
        study.enqueue_trial(made.space.defaults())
        run(study, made.space.sample, lambda _p, e: 1 / e, 10)
        asked = {(t.params["arch"], round(t.params["lr"], 9)) for t in study.trials}
        assert len(asked) == 10


def test_qmc_repeats_no_point_where_trials_run_side_by_side() -> None:
    more = "head = { choices = [0, 64], default = 0 }\nfeature_dropout = { low = 0.0, high = 0.5, default = 0.1 }"
    made = spec("qmc", CONDITIONAL + more)
    study, running = optuna.create_study(direction="maximize", sampler=sampler(made, 0)), []
    for number in range(40):
        trial = study.ask()
        made.space.sample(trial)
        running.append(trial)
        if len(running) == 4:
            study.tell(running.pop(number % 3), 1.0)
    assert len({t.params["lr"] for t in study.trials}) == 40


def test_the_default_one_searches_what_the_study_file_does_whatever_trials_had_before() -> None:
    study = optuna.create_study(direction="maximize")
    made = sampler(spec("fidelity", "lr = { low = 0.001, high = 1.0, default = 0.1 }\ndropout = 0.3"), 12)
    for _ in range(3):
        study.add_trial(
            optuna.create_trial(
                params={"lr": 0.5, "dropout": 0.5},
                distributions=dict.fromkeys(("lr", "dropout"), optuna.distributions.FloatDistribution(0, 1)),
                value=1.0,
            )
        )
    assert made.infer_relative_search_space(study, study.ask()._cached_frozen_trial).keys() == {"lr"}


@pytest.mark.parametrize(("around", "least", "most"), [({f"c{i}": "d" for i in range(8)}, 30, 62), ({}, 0, 10)])
def test_every_other_one_of_the_first_trials_is_near_what_somebody_thinks_good(
    around: dict[str, str], least: int, most: int
) -> None:
    """A neighbour has three of four choices in common with it, a random configuration one."""
    study = optuna.create_study(sampler=module.FidelitySampler(EPOCHS, seed=0, startup=1000, around=around))
    asked = run(
        study, lambda t: [t.suggest_categorical(f"c{i}", list("abcd")) for i in range(8)], lambda _p, e: 1 / e, 101
    )
    assert least <= sum(choices.count("d") >= 5 for choices in asked[1:]) <= most


def test_the_default_one_begins_near_the_defaults_of_the_study_file() -> None:
    dials = "".join(f"{name} = {{ low = 0.0, high = 1.0, default = 0.5 }}\n" for name in DIALS)
    made = parse_spec(spec("fidelity", dials).text.replace("startup = 3", "startup = 99"), name="toy")
    study = optuna.create_study(sampler=sampler(made, 0))
    asked = run(study, lambda t: (made.space.sample(t), t.params)[1], lambda _p, e: 1 / e, 61)
    assert 20 <= sum(list(params.values()).count(0.5) >= 2 for params in asked[1:]) <= 40


def test_what_was_fixed_in_past_trials_counts_with_its_value_for_the_default_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dropout = "dropout = { low = 0.0, high = 0.9, default = 0.2 }\n"
    lr, kind = "lr = { low = 0.001, high = 0.3, log = true, default = 0.3 }\n", CHOICES.splitlines()[1]
    old, new = (spec("fidelity", dropout + more) for more in ("lr = 0.3\noptimizer = 'adamw'\n", lr + kind))
    study, seen = optuna.create_study(direction="maximize"), []

    def noted(surrogate: Surrogate, *given: Any) -> np.ndarray:
        seen.append({name: surrogate.rows[:6, i] for i, name in enumerate(surrogate.encoding.names)})
        return proposed(surrogate, *given)

    monkeypatch.setattr(module, "proposed", noted)
    for made, n in ((old, 6), (new, 6)):
        study.sampler = sampler(made, 0)
        for _ in range(n):
            trial = study.ask()
            trial.set_user_attr("config", made.space.sample(trial).params())
            study.tell(trial, trial.params["dropout"])
    assert seen[-1]["lr"] == pytest.approx([1.0] * 6), "the old trials lie where they were trained"
    assert seen[-1]["optimizer"].tolist() == [1.0] * 6


def test_a_small_space_is_searched_anew_where_something_fixed_changed(root: Path, data: fakes.FakeData) -> None:
    dials = "".join(f"{name} = {{ choices = [0.0, 0.2, 0.4], default = 0.2 }}\n" for name in ("dropout", "smoothing"))
    for batch_size in (64, 128):
        made = spec("fidelity", f"batch_size = {batch_size}\n{dials}")
        with open_writer(made, root, data) as writer:
            run_session(Session(writer, Limits(trials=writer.count() + 9), emit=lambda _: None), data)
            asked = [str(t.params) for t in writer.reader.trials()][-9:]
        assert len(set(asked)) == 9


def test_the_model_may_propose_again_what_was_trained_with_something_else_fixed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "proposed", lambda surrogate, *_: surrogate.rows[:1])
    for same, distinct in ((None, True), (lambda _: False, False)):
        study = optuna.create_study(sampler=module.FidelitySampler(EPOCHS, 0, startup=2, same=same))
        asked = run(study, lambda t: round(t.suggest_float("x", 0, 1), 9), lambda x, _: x, 20)
        assert (len(set(asked)) == 20) is distinct


@pytest.mark.parametrize("name", ["random", "fidelity"])
@pytest.mark.parametrize(
    "runs", [[(1, "suggest_float"), 2, 2, 4], [(1, "suggest_float"), (1, "set_user_attr"), 4]], ids=["once", "twice"]
)
def test_a_trial_that_was_cut_off_before_it_had_settings_is_not_drawn_twice(
    root: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch, name: str, runs: list[Any]
) -> None:
    """Each run goes on to a total, and may be killed in the next trial before it has drawn, or stored its settings."""
    spec = parse_spec(fakes.spec(epochs=1, scheduler="none").text.replace('"random"', f'"{name}"'), name="toy")

    def cut_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for one in runs:
        total, killed_in = one if isinstance(one, tuple) else (one, None)
        with open_writer(spec, root, data) as writer:
            settle(writer)
            run_session(Session(writer, Limits(trials=total), emit=lambda _: None), data)
            if killed_in:
                with monkeypatch.context() as patch:
                    patch.setattr(optuna.Trial, killed_in, cut_off)
                    session = Session(writer, Limits(trials=4), emit=lambda _: None)
                    with pytest.raises(KeyboardInterrupt):
                        session.next_trial()
    assert len({str(t.params) for t in Study.open(root, "toy").trials()}) == 4


@pytest.mark.parametrize("other", [{"low": 1e-3, "high": 1.0, "log": True}, {"low": 0, "high": 1}])
def test_a_parameter_of_which_trials_of_another_kind_were_added_is_drawn_at_random(other: dict[str, Any]) -> None:
    study = optuna.create_study(sampler=module.FidelitySampler(1, seed=0, startup=2))
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0) + trial.suggest_float("y", 0.0, 1.0), 4)
    kind = IntDistribution if isinstance(other["low"], int) else FloatDistribution
    added = optuna.trial.create_trial(params={"x": 1}, distributions={"x": kind(**other)}, value=0.5)
    study.add_trial(added)
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0) + trial.suggest_float("y", 0.0, 1.0), 8)
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)
