"""What waits to be run: known by what was written, and kept while the space allows it."""

import optuna
import pytest

from ferhpo.space.spec import parse_spec
from ferhpo.space.tries import Try
from ferhpo.study.attrs import DEFAULT, TRY, VOID
from ferhpo.study.queue import again, misfits, queue_tries, refresh, settings

SPACE = parse_spec(
    "[space]\nlr = { low = 0.01, high = 1.0, default = 0.1 }\ndropout = { low = 0.0, high = 0.9, default = 0.2 }",
    name="toy",
).space
LR = Try(given={"lr": 0.5}, params={"lr": 0.5, "dropout": 0.2})


def waiting(study: optuna.Study) -> list[object]:
    return [settings(t) for t in study.trials if t.state == optuna.trial.TrialState.WAITING]


def test_a_try_is_queued_once() -> None:
    study = optuna.create_study()
    for _ in range(2):
        queue_tries(study, SPACE, [LR, LR])
    assert waiting(study) == [LR.params]
    assert study.trials[0].user_attrs[TRY] == {"lr": 0.5}


def test_a_try_known_by_what_was_written_is_not_queued_again_with_other_defaults() -> None:
    study = optuna.create_study()
    queue_tries(study, SPACE, [LR])
    queue_tries(study, SPACE, [Try(given={"lr": 0.5}, params={"lr": 0.5, "dropout": 0.4})])
    assert waiting(study) == [LR.params]


def test_a_try_that_a_trial_ran_anyway_is_not_queued() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"lr": 0.5, "dropout": 0.2})
    trial = study.ask()
    trial.suggest_float("lr", 0, 1)
    trial.suggest_float("dropout", 0, 1)
    queue_tries(study, SPACE, [LR])
    assert waiting(study) == []


@pytest.mark.parametrize(
    ("now", "waits"),
    [
        ("dropout = { low = 0.0, high = 0.9, default = 0.2 }\noptimizer = 'sgd'", False),
        ("dropout = { low = 0.0, high = 0.9, default = 0.2 }\noptimizer = 'adamw'", True),
        ("dropout = 0.2\noptimizer = 'sgd'", False),
        ("dropout = 0.3\noptimizer = 'sgd'", True),
        ("dropout = 0.2\noptimizer = 'sgd'\naugment = { choices = [0.5, 0.8], default = 0.5 }", False),
        ("dropout = 0.2\noptimizer = 'sgd'\nsmoothing = 0.3", True),
        ("dropout = 0.2\noptimizer = 'sgd'\nfocal_gamma = 2.0", False),
    ],
)
def test_a_try_waits_for_a_trial_of_its_whole_configuration(now: str, waits: bool) -> None:
    study = optuna.create_study()
    lr = "[space]\nlr = { low = 0.01, high = 1.0, default = 0.1 }\n"
    then = parse_spec(f"{lr}dropout = {{ low = 0.0, high = 0.9, default = 0.2 }}\noptimizer = 'sgd'", name="toy").space
    study.enqueue_trial({"lr": 0.5, "dropout": 0.2})
    trial = study.ask()
    trial.set_user_attr("config", then.sample(trial).params())
    study.tell(trial, 0.5)
    space = parse_spec(lr + now, name="toy").space
    queue_tries(study, space, [Try(given={"lr": 0.5}, params=space.point({"lr": 0.5}))])
    assert (waiting(study) == [space.point({"lr": 0.5})]) is waits


def test_a_queued_trial_outside_the_space_is_found() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"lr": 0.5})
    study.enqueue_trial({"lr": 0.05, "width": 16})
    narrow = parse_spec("[space]\nlr = { low = 0.01, high = 0.1, default = 0.1 }\n", name="toy").space
    assert [t.number for t in misfits(study, narrow, [])] == [0]


def test_queued_defaults_and_tries_of_another_study_file_are_found() -> None:
    study = optuna.create_study()
    space = parse_spec("[space]\nlr = { low = 0.01, high = 1.0, default = 0.1 }\n", name="toy").space
    study.enqueue_trial({"lr": 0.2}, user_attrs={DEFAULT: True})
    study.enqueue_trial({"lr": 0.1}, user_attrs={DEFAULT: True})
    queue_tries(study, SPACE, [LR, Try(given={"lr": 0.6}, params={"lr": 0.6})])
    study.enqueue_trial({"lr": 0.3})  # by somebody else
    study.enqueue_trial({"lr": 0.7, "dropout": 0.2}, user_attrs={TRY: {"lr": 0.7}})  # of a run before
    study.enqueue_trial({"lr": 0.8, "dropout": 0.2}, user_attrs={TRY: {"lr": 0.8}, "requeued_from": 9})
    study.enqueue_trial({"lr": 0.5, "dropout": 0.2}, user_attrs={TRY: {"lr": 0.5}, "requeued_from": 9})  # had begun
    now = [Try(given={"lr": 0.5}, params={"lr": 0.5, "dropout": 0.4}), Try(given={"lr": 0.6}, params={"lr": 0.6})]
    assert [t.number for t in misfits(study, space, now)] == [0, 2, 5]
    assert again(study.trials, space)[2].params == {"lr": 0.7}


def test_a_trial_whose_settings_were_being_chosen_is_found_where_they_fit_no_more() -> None:
    study = optuna.create_study()
    for lr in (0.5, 0.05):
        study.ask().suggest_float("lr", lr, lr)  # and then the search was killed
    narrow = parse_spec("[space]\nlr = { low = 0.01, high = 0.1, default = 0.1 }\n", name="toy").space
    assert [t.number for t in misfits(study, narrow, [])] == [0]
    fixed = parse_spec("[space]\nlr = 0.2\ndropout = { low = 0.0, high = 0.5, default = 0.1 }\n", name="toy").space
    assert [t.number for t in misfits(study, fixed, [])] == [0, 1], "it would be trained with another lr than it has"


@pytest.mark.parametrize("kills", [0, 1, 2])
def test_what_the_study_file_outdated_is_queued_anew_before_it_ends_and_once(kills: int) -> None:
    study = optuna.create_study()
    space = parse_spec("[space]\nlr = { low = 0.01, high = 1.0, default = 0.1 }\n", name="toy").space
    study.enqueue_trial({"lr": 0.2}, user_attrs={DEFAULT: True})
    study.enqueue_trial({"lr": 0.5, "dropout": 0.2}, user_attrs={TRY: {"lr": 0.5}})

    def killed(_number: int) -> None:
        raise KeyboardInterrupt

    def end(number: int) -> None:
        trial = study.ask()
        assert trial.number == number
        trial.set_user_attr(VOID, True)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)

    for _ in range(kills):
        with pytest.raises(KeyboardInterrupt):
            refresh(study, space, [], killed)
    refresh(study, space, [], end)
    assert waiting(study) == [{"lr": 0.1}, {"lr": 0.5}]
    refresh(study, space, [], end)
    assert len(study.trials) == 4
