"""What a study says of itself, and what is left empty where it cannot be said."""

from pathlib import Path

import optuna

from ferhpo.report.facts import facts
from ferhpo.study.study import Study
from tests.report.made_up_study import CLASSES, make_study


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


def test_the_commonest_class_is_told_by_the_counts_where_the_labels_are_lost(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (study.folder / "val.npz").unlink()
    assert facts(study).majority == 0.5


def test_an_objective_of_ones_own_has_no_classes(tmp_path: Path) -> None:
    study = make_study(tmp_path, classes=[], counts={})
    (study.folder / "val.npz").unlink()
    about = facts(study)
    assert (about.classes, about.counts, about.majority) == ((), {}, None)
    assert about.per_class.empty


def test_a_study_file_that_is_no_longer_understood_is_shown_as_text(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    optuna.load_study(study_name=study.name, storage=study.url).set_user_attr("spec", "colour = 3\n")
    about = facts(Study.open(tmp_path, study.name))
    assert (about.spec, about.description, about.dimensions, about.epochs) == ("colour = 3\n", "", {}, None)
    assert about.metric == "accuracy"
