"""`--confirm`: the best configurations trained again, each once, and seen by nobody who decides about the search."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakes
import pytest
from conftest import open_writer, run_session

from ferhpo import _layout
from ferhpo.errors import StudyError, UsageError
from ferhpo.search.budget import Limits
from ferhpo.search.confirm import Confirm, Confirmation, confirm_of
from ferhpo.search.events import Event, Note, TrialBegan
from ferhpo.search.recovery import settle
from ferhpo.search.session import Session
from ferhpo.space.sections import SAMPLERS
from ferhpo.space.spec import parse_spec
from ferhpo.study.overview import overview
from ferhpo.study.study import Study
from ferhpo.study.writer import StudyWriter

LIMITS = Limits(trials=6)


@pytest.fixture(autouse=True)
def noisy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a value depend on the seed."""
    plain = fakes.score
    monkeypatch.setattr(fakes, "score", lambda config, epoch: plain(config, epoch) + (config.seed % 101) / 10_000)


def confirm(writer: StudyWriter, data: fakes.FakeData, best: int, seeds: int, spent: int | None = None) -> list[Event]:
    told: list[Event] = []
    settle(writer)
    run_session(Confirmation(writer, Confirm(best=best, seeds=seeds), LIMITS, emit=told.append), data, spent)
    return told


def before(study: Study) -> dict[str, Any]:
    """Return everything that a confirmation must not change."""
    best = study.best()
    assert best is not None
    shown = overview(study.folder)
    return {
        "states": study.states(),
        "best": best.number,
        "trials": [t.number for t in study.trials()],
        "counts": sum(t.counts for t in study.trials()),
        "overview": (shown.states, shown.n_trials, shown.best),
    }


def test_the_best_are_trained_again_to_the_end_with_the_same_seeds_each(
    study: Callable[..., Study], root: Path, data: fakes.FakeData
) -> None:
    opened = study(6)
    kept = before(opened)
    with open_writer(fakes.spec(), root, data) as writer:
        told = confirm(writer, data, best=2, seeds=3)
        assert writer.count() == 6
    repeats, ranked = opened.repeats(), opened.ranking()
    assert [t.state for t in repeats] == ["COMPLETE"] * 6
    assert {t.attrs["repeats"] for t in repeats} == {t.number for t in ranked[:2]}
    by_source = [{t.attrs["seed"] for t in repeats if t.attrs["repeats"] == r.number} for r in ranked[:2]]
    assert by_source[0] == by_source[1]
    assert len(by_source[0]) == 3
    for trial in repeats:
        source = opened.trials()[trial.attrs["repeats"]]
        assert trial.config is not None
        assert source.config is not None
        assert trial.params == source.params
        assert trial.config == source.config.with_params({"seed": trial.attrs["seed"]})
        assert list(trial.values) == [1, 2, 3]
        assert trial.checkpoint is not None
    assert before(opened) == kept
    assert {e.repeats for e in told if isinstance(e, TrialBegan)} == {t.number for t in ranked[:2]}
    assert any(isinstance(e, Note) and "with 3 seeds: 6 trainings are left" in e.text for e in told)


def test_mean_and_spread_are_told_beside_the_searched_value(
    study: Callable[..., Study], root: Path, data: fakes.FakeData
) -> None:
    opened = study(6)
    with open_writer(fakes.spec(), root, data) as writer:
        confirm(writer, data, best=2, seeds=3)
    first, second = opened.confirmed()
    assert first.mean > second.mean
    assert first.searched == opened.trials()[first.number].value
    values = [t.value for t in opened.repeats() if t.attrs["repeats"] == first.number]
    assert sorted(first.values.values()) == sorted(v for v in values if v is not None)
    assert first.std is not None
    assert 0 < first.std < 0.01
    assert not first.tied


@pytest.mark.parametrize("spent", [1, 2, 3, 4, 8])
def test_a_confirmation_cut_off_anywhere_trains_nothing_twice(
    study: Callable[..., Study], root: Path, data: fakes.FakeData, spent: int
) -> None:
    opened = study(6)
    with open_writer(fakes.spec(), root, data) as writer:
        confirm(writer, data, best=2, seeds=2, spent=spent)
    with open_writer(fakes.spec(), root, data) as writer:
        confirm(writer, data, best=2, seeds=2)
        assert Confirmation(writer, Confirm(best=2, seeds=2), LIMITS, emit=lambda _: None).over
    done = [t for t in opened.repeats() if t.state == "COMPLETE"]
    assert len({(t.attrs["repeats"], t.attrs["seed"]) for t in done}) == len(done) == len(opened.repeats()) == 4
    assert all(list(t.values) == [1, 2, 3] for t in done)


def test_more_seeds_add_only_what_is_missing(study: Callable[..., Study], root: Path, data: fakes.FakeData) -> None:
    opened = study(6)
    with open_writer(fakes.spec(), root, data) as writer:
        confirm(writer, data, best=1, seeds=2)
        confirm(writer, data, best=2, seeds=3)
    assert [len(c.values) for c in opened.confirmed()] == [3, 3]
    assert len(opened.repeats()) == 6


def test_fewer_seeds_of_fewer_trials_leave_waiting_what_more_had_queued(
    study: Callable[..., Study], root: Path, data: fakes.FakeData
) -> None:
    opened = study(6)
    with open_writer(fakes.spec(), root, data) as writer:
        confirm(writer, data, best=3, seeds=3, spent=1)
    with open_writer(fakes.spec(), root, data) as writer:
        told = confirm(writer, data, best=1, seeds=2)
    assert any(isinstance(e, Note) and e.text.endswith("with 2 seeds: 2 trainings are left") for e in told)
    assert [len(c.values) for c in opened.confirmed()] == [2]
    assert sum(t.state == "WAITING" for t in opened.repeats()) == 7


def test_a_configuration_that_several_trials_had_is_confirmed_once(root: Path, data: fakes.FakeData) -> None:
    choice = '{ choices = ["none", "cbam"], default = "none" }'
    text = (
        fakes.spec().text.split("[space]")[0]
        + f"[space]\nneck = {choice}\nlr = {{ choices = [0.1, 0.2], default = 0.1 }}\n"
    )
    spec = parse_spec(text, name="toy")
    with open_writer(spec, root, data) as writer:
        run_session(Session(writer, Limits(trials=12), emit=lambda _: None), data)
        told = confirm(writer, data, best=3, seeds=1)
        best = [e for e in told if isinstance(e, TrialBegan)]
        assert len(best) == len({str(e.params) for e in best}) == 3
        again = [t.attrs["repeats"] for t in writer.reader.repeats()]
        run_session(Session(writer, Limits(trials=20), emit=lambda _: None), data)
        confirm(writer, data, best=3, seeds=1)
        assert [t.attrs["repeats"] for t in writer.reader.repeats()][:3] == again
        assert len(writer.reader.repeats()) <= 4, "those that stood for a configuration still do"


def cut_off(opened: Study, root: Path, data: fakes.FakeData) -> Path:
    """Begin to confirm, break off in the only repeat, and return the folder of its last epoch."""
    with open_writer(fakes.spec(), root, data) as writer:
        confirm(writer, data, best=1, seeds=1, spent=2)
    folder = _layout.last_epoch(_layout.trial_folder(opened.folder, opened.repeats()[0].number))
    assert folder is not None
    return folder


def test_a_repeat_whose_state_is_gone_is_trained_anew_as_a_repeat(
    study: Callable[..., Study], root: Path, data: fakes.FakeData
) -> None:
    opened = study(6)
    folder = cut_off(opened, root, data)
    for file in (_layout.STATE, _layout.RECORD):
        (folder / file).unlink()
    with open_writer(fakes.spec(), root, data) as writer:
        confirm(writer, data, best=1, seeds=1)
        assert writer.count() == 6
    assert [t.state for t in opened.repeats()] == ["FAIL", "COMPLETE"]
    assert opened.states()["WAITING"] == 0


def test_a_repeat_that_failed_is_trained_again_when_it_is_asked_for_again(
    study: Callable[..., Study], root: Path, data: fakes.FakeData
) -> None:
    opened = study(6)
    with open_writer(fakes.spec(), root, data) as writer:
        asked = Confirmation(writer, Confirm(best=1, seeds=2), LIMITS, emit=lambda _: None)
        repeat = asked.next_trial()
        assert repeat is not None
        asked.epoch(repeat.number, {"error": "out of memory"})
        run_session(asked, data)
        confirm(writer, data, best=1, seeds=2)
    assert sorted(t.state for t in opened.repeats()) == ["COMPLETE", "COMPLETE", "FAIL"]


def test_a_repeat_with_a_damaged_state_is_trained_in_the_same_run(
    study: Callable[..., Study], root: Path, data: fakes.FakeData
) -> None:
    opened = study(6)
    (cut_off(opened, root, data) / _layout.STATE).write_text("{")
    with open_writer(fakes.spec(), root, data) as writer:
        confirm(writer, data, best=1, seeds=1)
    assert [t.state for t in opened.repeats()] == ["FAIL", "COMPLETE"]


def test_a_repeat_whose_worker_and_files_are_gone_is_trained_in_the_same_run(
    study: Callable[..., Study], root: Path, data: fakes.FakeData
) -> None:
    opened = study(6)
    with open_writer(fakes.spec(), root, data) as writer:
        asked = Confirmation(writer, Confirm(best=1, seeds=1), LIMITS, emit=lambda _: None)
        repeat = asked.next_trial()
        assert repeat is not None
        asked.epoch(repeat.number, fakes.worker(repeat, fakes.job(writer.folder, data))())
        shutil.rmtree(_layout.trial_folder(writer.folder, repeat.number))
        asked.lost(repeat.number, "its worker process died")
        run_session(asked, data)
    assert [t.state for t in opened.repeats()] == ["FAIL", "COMPLETE"]


def test_a_search_that_goes_on_leaves_waiting_repeats_alone_and_counts_none(
    study: Callable[..., Study], root: Path, data: fakes.FakeData
) -> None:
    opened = study(6)
    with open_writer(fakes.spec(), root, data) as writer:
        confirm(writer, data, best=2, seeds=2, spent=4)
    with open_writer(fakes.spec(), root, data) as writer:
        settle(writer)
        run_session(Session(writer, Limits(trials=9), emit=lambda _: None), data)
        assert writer.count() == 9
    assert sum(t.state == "WAITING" for t in opened.repeats()) == 3
    assert all(t.state != "RUNNING" for t in opened.repeats())


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in {"qmc", "grid"}])
def test_no_sampler_sees_a_repeat(root: Path, data: fakes.FakeData, name: str) -> None:
    """The next proposal is the same with repeats in the study as without."""

    def proposed(folder: Path, *, repeats: bool) -> list[Any]:
        spec = parse_spec(fakes.spec().text.replace('"random"', f'"{name}"\nstartup = 3'), name="toy")
        with open_writer(spec, folder, data) as writer:
            run_session(Session(writer, LIMITS, emit=lambda _: None), data)
            if repeats:
                confirm(writer, data, best=2, seeds=2)
        with open_writer(spec, folder, data) as writer:
            run_session(Session(writer, Limits(trials=7), emit=lambda _: None), data)
            return [t.params for t in writer.reader.trials()]

    assert proposed(root / "a", repeats=True) == proposed(root / "b", repeats=False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((0, None), "--confirm must be at least 1, got 0"),
        ((2, 0), "--seeds must be at least 1, got 0"),
        ((None, 4), "--seeds says with how many seeds --confirm trains, got 4 without it"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(given: tuple[int | None, int | None], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        confirm_of(*given)


def test_without_the_option_nothing_is_confirmed_and_seeds_have_a_default() -> None:
    assert confirm_of(None, None) is None
    assert confirm_of(2, None) == Confirm(best=2, seeds=3)


def test_there_must_be_something_to_confirm(writer: StudyWriter) -> None:
    with pytest.raises(StudyError, match="none has ended with a value; search first"):
        Confirmation(writer, Confirm(best=1, seeds=1), LIMITS, emit=lambda _: None)
