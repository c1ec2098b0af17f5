"""A grid is gone through once, whatever happens in between, and the search ends with it."""

from pathlib import Path
from typing import Any

import fakes
import optuna
import pytest
from conftest import open_writer, run_session

from ferhpo.errors import SpecError
from ferhpo.search.budget import Limits
from ferhpo.search.events import Event, Note
from ferhpo.search.grid import exhausted, within_grid
from ferhpo.search.recovery import settle
from ferhpo.search.samplers import sampler
from ferhpo.search.session import Session
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.study.study import Study

LR = "lr = { low = 0.001, high = 0.1, log = true, default = 0.01 }\n"
CHOICES = """
optimizer = { choices = ["sgd", "adamw"], default = "sgd" }
batch_size = { choices = [64, 128], default = 64 }
"""


def spec(space: str, *, points: int = 3, trials: int = 50, tries: str = "") -> StudySpec:
    text = f"[budget]\nepochs = 2\ntrials = {trials}\n[sampler]\nname = 'grid'\npoints = {points}\n"
    return parse_spec(f"{text}[scheduler]\nname = 'none'\n[space]\n{space}{tries}", name="toy", path="toy.toml")


def asked(study: optuna.Study, made: StudySpec, n: int, done: int) -> list[tuple[Any, ...]]:
    study.sampler = sampler(made, done)
    found = []
    for _ in range(n):
        trial = study.ask()
        made.space.sample(trial)
        found.append(tuple(trial.params.values()))
        study.tell(trial, 0.0)
    return found


def searched(root: Path, data: fakes.FakeData, made: StudySpec, events: list[Event]) -> Study:
    with open_writer(made, root, data) as writer:
        writer.keep_validation(data.labels, data.groups)
        limits = within_grid(writer, Limits(trials=made.budget.trials), events.append)
        run_session(Session(writer, limits, emit=lambda _: None), data)
    return Study.open(root, "toy")


def test_every_point_is_visited_once_across_restarts() -> None:
    made, study = spec(LR + CHOICES), optuna.create_study()
    study.enqueue_trial(made.space.defaults())
    found = [point for done in range(0, 12, 3) for point in asked(study, made, 3, done)]
    assert len(set(found)) == 12, "the default, which was queued, is a point of it"
    assert sorted({round(point[1], 6) for point in found}) == [0.001, 0.01, 0.1]
    assert asked(study, made, 1, 12)[0] in found


def test_the_order_is_random_and_the_studys_own() -> None:
    made = spec(LR + CHOICES)
    first = asked(optuna.create_study(), made, 6, 0)
    assert first == asked(optuna.create_study(), made, 6, 5)
    assert first != sorted(first)


def test_a_point_whose_trial_runs_is_taken() -> None:
    made, study = spec(CHOICES), optuna.create_study(sampler=sampler(spec(CHOICES), 0))
    trials = [study.ask() for _ in range(4)]
    assert len({str(made.space.sample(trial)) for trial in trials}) == 4


def test_the_search_ends_with_the_last_point_and_says_so_before_it_starts(
    root: Path, data: fakes.FakeData, events: list[Event]
) -> None:
    tried = spec(LR + CHOICES, tries="[[try]]\nlr = 0.02\n")
    study = searched(root, data, tried, events)
    assert len(study.trials()) == 13
    assert len({str(t.params) for t in study.trials()}) == 13
    again = searched(root, data, tried, events)
    assert len(again.trials()) == 13
    assert [str(e.text) for e in events if isinstance(e, Note)] == [
        "of the grid's 12 points 11 are left: the search ends with 13 trials",
        "of the grid's 12 points 0 are left: the search ends with 13 trials",
    ]
    with open_writer(tried, root, data) as writer:
        assert exhausted(writer)
    with open_writer(spec(LR.replace("0.001", "0.002") + CHOICES), root, data) as writer:
        assert not exhausted(writer)
    searched(root, data, spec(LR + CHOICES, trials=5), events)
    assert len(events) == 2, "a total that is reached before needs no word"


def test_a_grid_whose_last_points_are_under_way_is_not_exhausted(root: Path, data: fakes.FakeData) -> None:
    with open_writer(spec(CHOICES), root, data) as writer:
        writer.keep_validation(data.labels, data.groups)
        numbers = [writer.ask(lambda config, _: config)[0] for _ in range(4)]
        for number in numbers:
            writer.hand_back(number)
        assert not exhausted(writer)


def test_a_point_that_was_queued_and_never_begun_is_still_to_be_visited(
    root: Path, data: fakes.FakeData, events: list[Event]
) -> None:
    tries = "[[try]]\nbatch_size = 128\n"
    searched(root, data, spec(CHOICES, trials=1, tries=tries), events)
    changed = CHOICES.replace('default = "sgd"', 'default = "adamw"')
    study = searched(root, data, spec(changed, tries=tries), events)
    ran = [(t.params["optimizer"], t.params["batch_size"]) for t in study.trials() if t.counts]
    assert sorted(ran) == [("adamw", 64), ("adamw", 128), ("sgd", 64), ("sgd", 128)]


@pytest.mark.parametrize(
    ("space", "size"),
    [
        ("dropout = { low = 0.0, high = 0.9, step = 1e-7, default = 0.0 }\n", 9_000_001),
        ("".join(f"{n} = {{ low = 0.0, high = 1.0, default = 0.0 }}\n" for n in ("flip", "shift", "scale")), 125_000),
    ],
)
def test_a_grid_that_nobody_could_write_down_is_refused(space: str, size: int) -> None:
    with pytest.raises(SpecError, match=rf"toy.toml:5: grid takes at most 100000 points, got at least {size}"):
        sampler(spec(space, points=50), 0)


@pytest.mark.parametrize(
    ("then", "now", "new"),
    [
        ("optimizer = 'sgd'", "optimizer = 'adamw'", 3),
        ("optimizer = 'sgd'\nmomentum = 0.8", "optimizer = 'sgd'", 3),
        ("optimizer = 'sgd'\nfocal_gamma = 2.0", "optimizer = 'sgd'", 0),
        ("head = 0", "head = { choices = [0, 64], default = 0 }", 3),
        ("dropout = { choices = [0.1, 0.5], default = 0.5 }", "dropout = 0.1", 0),
        ("dropout = { choices = [0.1, 0.5], default = 0.5 }", "dropout = 0.3", 3),
    ],
)
def test_a_point_counts_as_visited_with_what_is_fixed_now(
    root: Path, data: fakes.FakeData, then: str, now: str, new: int
) -> None:
    before = len(searched(root, data, spec(LR + then), []).trials())
    trials = searched(root, data, spec(LR + now), []).trials()
    assert len({str(t.config.with_params({"seed": 0})) for t in trials if t.config}) == len(trials) == before + new


def test_a_dimension_that_never_applies_is_no_axis_of_the_grid(
    root: Path, data: fakes.FakeData, events: list[Event]
) -> None:
    idle = 'optimizer = "adamw"\nmomentum = { choices = [0.8, 0.9], default = 0.9 }\n'
    study = searched(root, data, spec(idle + LR), events)
    assert sorted(round(t.params["lr"], 6) for t in study.trials()) == [0.001, 0.01, 0.1]
    assert [e.text for e in events if isinstance(e, Note)] == [
        "of the grid's 3 points 2 are left: the search ends with 3 trials"
    ]


def test_the_activation_of_a_head_that_may_be_absent_is_refused_of_a_librarys_net_alone() -> None:
    space = 'arch = "ARCH"\nhead = { choices = [0, 64], default = 0 }\n'
    space += 'activation = { choices = ["relu", "gelu"], default = "relu" }\n'
    with pytest.raises(SpecError, match=r"toy.toml:5: grid takes .* always applies, got activation"):
        sampler(spec(space.replace("ARCH", "timm:mobilenetv3_small_100")), 0)
    assert len(set(asked(optuna.create_study(), spec(space.replace("ARCH", "resnet9s")), 4, 0))) == 4


def test_a_trial_that_was_cut_off_before_it_had_a_point_takes_one_of_those_that_are_left(
    root: Path, data: fakes.FakeData, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with open_writer(spec(CHOICES), root, data) as writer:
        writer.keep_validation(data.labels, data.groups)
        run_session(Session(writer, Limits(trials=1), emit=lambda _: None), data)
        with monkeypatch.context() as patch:
            patch.setattr(optuna.Trial, "suggest_categorical", cut_off)
            session = Session(writer, Limits(trials=9), emit=lambda _: None)
            with pytest.raises(KeyboardInterrupt):
                session.next_trial()
        settle(writer)
    found = searched(root, data, spec(CHOICES), events).trials()
    assert len(found) == len({str(t.params) for t in found}) == 4
