"""Population based training in a whole search: what a copy takes along, what it changes, and who does not see it."""

import json
from dataclasses import replace
from pathlib import Path

import fakes
import numpy as np
import pytest
from conftest import open_writer, run_session

from ferhpo import _layout
from ferhpo.errors import SpecError, StudyError, UsageError
from ferhpo.search.api import search as python_search
from ferhpo.search.budget import Limits
from ferhpo.search.confirm import Confirm, Confirmation
from ferhpo.search.copies import changed
from ferhpo.search.events import Event
from ferhpo.search.prior import records
from ferhpo.search.recovery import settle
from ferhpo.search.session import Session
from ferhpo.space.config import TrialConfig
from ferhpo.space.sections import SamplerSpec
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.study.study import Study
from ferhpo.study.trial import Trial

TRIALS = 16


def population(**changes: str) -> StudySpec:
    text = fakes.SPEC.format(epochs=4, trials=TRIALS, scheduler="pbt")
    for old, new in {'name = "pbt"': 'name = "pbt"\npopulation = 6', **changes}.items():
        text = text.replace(old, new)
    return parse_spec(text, name="toy")


def searched(root: Path, data: fakes.FakeData, *, dies_after: int | None = None, trials: int = TRIALS) -> Study:
    with open_writer(population(), root, data) as writer:
        writer.keep_validation(data.labels, data.groups)
        settle(writer)
        run_session(Session(writer, Limits(trials=trials), emit=lambda _: None), data, dies_after)
    return Study.open(root, "toy")


def gather(session: Session, data: fakes.FakeData) -> None:
    """Give each of the population its first turn."""
    job = fakes.job(session.writer.folder, data, session.writer.spec)
    while len(session.writer.waiting()) < 6:
        began = session.next_trial()
        assert began is not None
        session.epoch(began.number, fakes.worker(began, job)())


def copies(study: Study) -> list[Trial]:
    return [t for t in study.trials() if t.copied_from is not None]


@pytest.mark.parametrize("dies_after", [None, 1, 5, 6, 7, 9, 13, 20])
def test_the_population_is_searched_to_the_end_wherever_it_is_cut_off(
    root: Path, data: fakes.FakeData, dies_after: int | None
) -> None:
    if dies_after is not None:
        searched(root, data, dies_after=dies_after)
    study = searched(root, data)
    found = study.trials()
    assert sum(t.counts for t in found) == TRIALS
    assert copies(study)
    assert study.states()["COMPLETE"] >= 4
    assert (study.states()["RUNNING"], study.states()["WAITING"]) == (0, 0)
    assert not list(study.folder.rglob(_layout.STATE))


def test_a_copy_has_the_values_of_its_original_up_to_there_and_its_own_settings_from_there(
    root: Path, data: fakes.FakeData
) -> None:
    study = searched(root, data)
    by_number = {t.number: t for t in study.trials()}
    for copy in copies(study):
        at, source = copy.attrs["copied_at"], by_number[copy.attrs["copied_from"]]
        assert {e: v for e, v in copy.values.items() if e <= at} == {e: source.values[e] for e in range(1, at + 1)}
        assert copy.config is not None
        assert copy.params != source.params
        assert copy.params == {name: getattr(copy.config, name) for name in copy.params}
        assert 0.001 <= copy.params["lr"] <= 1
        assert copy.config.seed != source.attrs["config"]["seed"]
        for epoch in range(at + 1, max(copy.values) + 1):
            assert copy.values[epoch] == fakes.score(copy.config, epoch)


def test_a_copy_goes_on_from_files_that_name_its_own_settings(root: Path, data: fakes.FakeData) -> None:
    with open_writer(population(), root, data) as writer:
        events: list[Event] = []
        session = Session(writer, Limits(trials=TRIALS), emit=events.append)
        gather(session, data)
        members = writer.waiting()
        began = session.next_trial()
        assert began is not None
        assert began.number == max(members) + 1, "the worst of six gave way"
        assert f"trial {began.number} takes trial " in str(events)
        assert began.epoch == 1
        folder = _layout.epoch_folder(_layout.trial_folder(writer.folder, began.number), 1)
        assert json.loads((folder / _layout.STATE).read_text())["config"] == began.config.params()
        record = json.loads((folder / _layout.RECORD).read_text())
        assert record["attrs"]["checkpoint"] == str(folder.relative_to(writer.folder))
        assert record["attrs"]["seed"] == began.config.seed
        assert writer.reader.states()["PRUNED"] == 1


def test_a_copy_may_change_what_was_fixed_when_its_original_began(root: Path, data: fakes.FakeData) -> None:
    with open_writer(population(), root, data) as writer:
        gather(Session(writer, Limits(trials=TRIALS), emit=lambda _: None), data)
    more = "augment = { choices = [0.1, 0.9], default = 0.1 }\nflip = { low = 0.0, high = 1.0, default = 0.2 }"
    with open_writer(population(dropout=f"{more}\ndropout"), root, data) as writer:
        assert writer.config(0).flip is None
        flip = changed(writer.spec.space, writer.config(0), np.random.default_rng(0))["flip"]
        assert abs(flip - 0.2) == pytest.approx(0.05), "from its default"
        number, config = writer.copy(0, 1, {"augment": 0.9, "flip": flip}, lambda config, _: config)
        assert (config.augment, config.flip) == (0.9, flip)
        assert writer.values(number).keys() == {1}


def test_an_original_whose_files_are_gone_is_not_copied(root: Path, data: fakes.FakeData) -> None:
    with open_writer(population(), root, data) as writer:
        session = Session(writer, Limits(trials=TRIALS), emit=lambda _: None)
        gather(session, data)
        for path in writer.folder.rglob(_layout.RECORD):
            path.unlink()
        members = writer.waiting()
        began = session.next_trial()
        assert began is not None
        assert began.number in members
        assert writer.reader.states()["PRUNED"] == 0


def test_a_search_killed_before_the_worst_gave_way_makes_no_second_copy(
    root: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_writer(population(), root, data) as writer:
        session = Session(writer, Limits(trials=TRIALS), emit=lambda _: None)
        gather(session, data)

        def killed(_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(session, "_give_up", killed)
        with pytest.raises(KeyboardInterrupt):
            session.next_trial()
    with open_writer(population(), root, data) as writer:
        settle(writer)
        began = Session(writer, Limits(trials=TRIALS), emit=lambda _: None).next_trial()
        assert began is not None
        assert [t.number for t in copies(writer.reader)] == [began.number]
        assert writer.reader.states()["PRUNED"] == 1


def test_epochs_of_the_original_are_spent_once(root: Path, data: fakes.FakeData) -> None:
    study = searched(root, data)
    with open_writer(population(), root, data) as writer:
        session = Session(writer, Limits(trials=TRIALS, epochs=1000), emit=lambda _: None)
        own = sum(len(t.attrs.get("history", [])) for t in study.trials())
        assert session._budget.epochs == own


def test_nobody_who_learns_from_configurations_sees_a_copy(root: Path, data: fakes.FakeData) -> None:
    study = searched(root, data)
    numbers = {t.number for t in copies(study)}
    assert not numbers & {t.number for t in study.searched.get_trials()}
    with open_writer(population(), root, data) as writer:
        assert not numbers & {
            r["number"] for r in records(study, replace(writer.spec, name="new", sampler=SamplerSpec()))
        }
        Confirmation(writer, Confirm(best=TRIALS, seeds=1), Limits(trials=0), emit=lambda _: None)
        assert not numbers & {t.attrs["repeats"] for t in writer.reader.repeats()}


def test_a_study_of_copies_alone_confirms_nothing(root: Path, data: fakes.FakeData) -> None:
    with open_writer(population(), root, data) as writer, pytest.raises(StudyError, match="search first"):
        Confirmation(writer, Confirm(best=1, seeds=1), Limits(trials=0), emit=lambda _: None)


@pytest.mark.parametrize("seed", range(5))
def test_what_may_change_on_the_way_moves_a_little_and_the_rest_stays(seed: int) -> None:
    spec = parse_spec(
        "[space]\nwidth = { low = 8, high = 64, default = 32 }\n"
        "lr = { low = 0.001, high = 1.0, log = true, default = 1.0 }\n"
        "dropout = { low = 0.0, high = 0.5, step = 0.1, default = 0.2 }\n"
        "augment = { choices = [0.1, 0.9], default = 0.1 }\n"
        'smoothing = { low = 0.0, high = 0.5, default = 0.1, when = { loss = ["label_smoothing"] } }\n'
        'loss = { choices = ["label_smoothing", "cross_entropy"], default = "cross_entropy" }\n',
        name="toy",
    )
    config = spec.space.default_config()
    found = changed(spec.space, config, np.random.default_rng(seed))
    assert found.keys() <= {"lr", "dropout", "augment"}
    assert found["lr"] == 1.0 or found["lr"] == pytest.approx(10**-0.15)
    assert round(found["dropout"], 9) in {0.1, 0.3}, "the next step, up or down"
    assert found.get("augment", 0.1) in {0.1, 0.9}
    assert isinstance(config.with_params(found), TrialConfig)


def test_a_space_without_anything_that_may_change_is_refused() -> None:
    with pytest.raises(
        SpecError, match=r"pbt changes settings while a net trains, and \[space\] searches none that may"
    ):
        population(lr='width = { low = 8, high = 64, default = 32 } # "', dropout="# ")


def test_an_objective_has_nothing_to_copy(root: Path) -> None:
    with pytest.raises(UsageError, match="pbt copies what a training has learned"):
        python_search(population(), objective=lambda _config, _epoch: 0.5, root=root)


def test_a_copy_that_was_cut_off_before_it_had_files_is_no_trial_from_the_beginning(
    root: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with open_writer(population(), root, data) as writer:
        writer.keep_validation(data.labels, data.groups)
        with monkeypatch.context() as patch:
            patch.setattr("ferhpo.search.copies.new_folder", killed)
            session = Session(writer, Limits(trials=TRIALS), emit=lambda _: None)
            with pytest.raises(KeyboardInterrupt):
                run_session(session, data)
    with open_writer(population(), root, data) as writer:
        (note,) = (note for note in settle(writer) if "its state is gone" in note)
        assert note.endswith("another copy is made in its place")
        assert writer.queued() == 0
    assert len(searched(root, data).trials()) == TRIALS + 1, "the one that never began does not count"
