"""A study is begun once, and opened again only as the same one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import optuna
import pytest
from conftest import data_record, open_writer

from ferhpo.errors import DataError, SpecError, StudyError
from ferhpo.space.spec import parse_spec
from ferhpo.study.study import Study
from ferhpo.study.writer import StudyWriter


def what_is_there(root: Path) -> object:
    study = Study.open(root, "toy")
    return [(t.number, t.state, t.value, t.params, t.values, t.attrs) for t in study.trials()], dict(study.attrs)


def test_other_data_are_refused_and_nothing_is_lost(
    study: Callable[..., Study], root: Path, data: fakes.FakeData
) -> None:
    study(4)
    before = what_is_there(root)
    other = replace(data, fingerprint="0" * 64, source=Path("/other.csv"))
    with pytest.raises(DataError, match="'toy' was begun with other data; copy the study file to a new name"):
        open_writer(fakes.spec(), root, other).__enter__()
    assert what_is_there(root) == before


def test_a_study_file_that_changed_too_much_is_refused_and_nothing_is_lost(
    study: Callable[..., Study], root: Path, data: fakes.FakeData
) -> None:
    study(4)
    before = what_is_there(root)
    with pytest.raises(SpecError, match="a study keeps its epochs"):
        open_writer(fakes.spec(epochs=9), root, data).__enter__()
    assert what_is_there(root) == before


@pytest.mark.parametrize("directions", [["minimize"], ["maximize", "minimize"]])
def test_a_study_of_another_direction_in_the_database_is_refused(
    root: Path, data: fakes.FakeData, tmp_path: Path, directions: Any
) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}"
    optuna.create_study(study_name="toy", storage=url, directions=directions)
    with pytest.raises(StudyError, match=r"a study keeps its direction, and 'toy' has .* where accuracy"):
        open_writer(fakes.spec(), root, data, storage=url).__enter__()


def test_paths_of_weights_are_seen_from_where_the_study_file_stood(
    root: Path, data: fakes.FakeData, tmp_path: Path
) -> None:
    text = 'pretrained = true\nweights = { choices = ["a.st", "b.st"], default = "a.st" }\nlr = 0.1\n'
    spec = parse_spec(f"[space]\n{text}", name="toy", path=tmp_path / "here" / "toy.toml")
    with open_writer(spec, root, data) as writer:
        assert writer.ask(lambda config, _: config)[1].weights == str(tmp_path / "here" / "a.st")
    kept = Study.open(root, "toy").spec
    assert kept.space == spec.space
    with open_writer(replace(kept, base=None), root, data):
        assert Study.open(root, "toy").spec.space == spec.space


def test_the_study_keeps_the_newest_study_file(study: Callable[..., Study], root: Path, data: fakes.FakeData) -> None:
    study(4)
    with open_writer(fakes.spec(trials=99), root, data) as writer:
        assert writer.reader.spec.budget.trials == 99
    assert Study.open(root, "toy").spec.budget.trials == 99


def test_data_that_moved_are_written_down_at_their_new_place(root: Path, data: fakes.FakeData) -> None:
    for place in ("/old/a.csv", "/new/a.csv"):
        with open_writer(fakes.spec(), root, replace(data, source=Path(place))) as writer:
            assert writer.reader.data["path"] == place


def test_a_file_that_the_sampler_refuses_leaves_nothing(root: Path, data: fakes.FakeData) -> None:
    spec = fakes.spec()

    def refused(_done: int, _prior: object) -> Any:
        msg = "no such space"
        raise spec.error(msg, "space")

    writer = StudyWriter(spec, root, storage=None, data=data_record(data), make_sampler=refused)  # pyright: ignore[reportArgumentType]
    with pytest.raises(SpecError, match="no such space"):
        writer.__enter__()
    assert not (root / "toy").exists()


def test_a_study_that_has_trials_is_not_begun_anew_in_another_database(
    study: Callable[..., Study], root: Path, data: fakes.FakeData, tmp_path: Path
) -> None:
    study(4)
    before = what_is_there(root)
    with pytest.raises(StudyError, match=r"study 'toy' is kept in sqlite:.*study\.db, and sqlite:.*other\.db does"):
        open_writer(fakes.spec(), root, data, storage=f"sqlite:///{tmp_path / 'other.db'}").__enter__()
    assert what_is_there(root) == before
    assert not list(tmp_path.glob("other.db*"))


@pytest.mark.filterwarnings("error::optuna.exceptions.ExperimentalWarning")
def test_beginning_a_study_warns_of_nothing(root: Path, data: fakes.FakeData) -> None:
    with open_writer(fakes.spec(), root, data):
        pass


def test_optuna_knows_the_study_by_the_metrics_name(writer: StudyWriter) -> None:
    loaded = optuna.load_study(study_name="toy", storage=writer.reader.url)
    assert loaded.metric_names == ["accuracy"]
    assert loaded.user_attrs["ferhpo"]
