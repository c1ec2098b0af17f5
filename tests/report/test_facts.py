"""What a study says of itself, and what is left empty where it says nothing."""

from ferhpo.report import frames
from ferhpo.report.facts import facts
from ferhpo.study.study import Study
from tests.report.made_up_study import CLASSES, plain_study


def test_facts_say_what_the_study_is_about(full: Study) -> None:
    about = facts(full)
    assert (about.metric, about.maximize, about.description, about.epochs) == ("accuracy", True, "Made-up faces", 4)
    assert about.counts == {"train": 600, "val": 120, "test": 123}
    assert about.classes == tuple(CLASSES)
    assert about.majority == 0.5
    assert about.dimensions["lr"].log
    assert [o["command"] for o in about.openings] == ["ferhpo ensemble --test"]


def test_facts_tell_no_class_counts_of_the_test_split(full: Study) -> None:
    assert list(facts(full).per_class.columns) == ["train", "val"]
    assert facts(full).per_class["val"].to_dict() == {"angry": 20, "happy": 60, "neutral": 40}


def test_a_study_that_optuna_alone_made_has_facts_and_trials() -> None:
    study = plain_study("sqlite://", 3, 2)
    about = facts(study)
    assert (about.metric, about.maximize, about.majority, about.spec, about.counts) == ("value", False, None, "", {})
    table = frames.trials(study.trials())
    assert table["value"].tolist() == [0, 1, 2]
    assert table["params_x1"].tolist() == [0, 1, 2]
