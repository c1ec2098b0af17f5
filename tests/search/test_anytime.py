"""The running ensemble: honest, kept up to date and across restarts, never in the way of the search."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fakes
import numpy as np
import pytest
from conftest import open_writer, run_session

from ferhpo import _layout, metrics
from ferhpo.search import anytime
from ferhpo.search.anytime import POINTS, RunningEnsemble
from ferhpo.search.budget import Limits
from ferhpo.search.events import EnsembleScored, Event, Note
from ferhpo.search.session import Session
from ferhpo.study.artifacts import keep_best
from ferhpo.study.study import Study

ROWS = 400
LABELS = np.arange(ROWS) % 3


def search(root: Path, data: fakes.FakeData, trials: int, emit: Callable[[Event], None] = lambda _: None) -> Study:
    with open_writer(fakes.spec(), root, data) as writer:
        writer.keep_validation(data.labels, data.groups)
        run_session(Session(writer, Limits(trials=trials), emit=emit), data)
    return Study.open(root, "toy")


@pytest.fixture
def guessed(study: Callable[..., Study]) -> Study:
    """Return a study whose trials guess: probabilities that know nothing of the labels."""
    opened = study(8, scheduler="none")
    rng = np.random.default_rng(0)
    for trial in opened.candidates():
        assert trial.checkpoint is not None
        probs_nc = rng.dirichlet(np.ones(3), size=ROWS).astype(np.float32)
        np.save(trial.checkpoint / _layout.PROBABILITIES, probs_nc)
    np.savez(opened.folder / "val.npz", labels=LABELS, groups=np.arange(ROWS))
    return opened


def test_each_trial_that_changes_the_pool_is_scored_and_told(
    root: Path, data: fakes.FakeData, events: list[Event]
) -> None:
    found = search(root, data, 6, events.append)
    told = [e for e in events if isinstance(e, EnsembleScored)]
    assert [e.trials for e in told] == [2, 3, 4, 5, 6]
    assert found.standing["points"] == [[e.trials, e.ensemble, e.single] for e in told]
    assert found.standing["members"] == list(told[-1].members)


def test_the_single_figure_is_the_best_trials_own(root: Path, data: fakes.FakeData) -> None:
    found = search(root, data, 6)
    best = found.candidates()[0]
    assert best.checkpoint is not None
    own = metrics.accuracy(np.load(best.checkpoint / _layout.PROBABILITIES), fakes.LABELS)
    assert found.standing["points"][-1][2] == own


def test_repeats_take_no_place_from_trials_in_the_pool(guessed: Study) -> None:
    found = guessed.candidates()
    repeats = [replace(t, number=100 + t.number, attrs={**t.attrs, "repeats": t.number}) for t in found] * 9
    running = RunningEnsemble(study=guessed)
    scored = running.update([*repeats, *found], 8)
    assert scored is not None
    assert running._pool >= {t.number for t in found}


def test_a_repeat_that_is_the_best_of_all_is_the_single_one(guessed: Study) -> None:
    *found, sure = guessed.candidates()
    assert sure.checkpoint is not None
    np.save(sure.checkpoint / _layout.PROBABILITIES, np.eye(3, dtype=np.float32)[LABELS])
    scored = RunningEnsemble(study=guessed).update([*found, replace(sure, attrs={**sure.attrs, "repeats": 0})], 8)
    assert scored is not None
    assert scored.single == scored.ensemble == 1.0, "what it gives is no gain of the ensemble"


def test_members_that_guess_score_at_chance(guessed: Study) -> None:
    scored = RunningEnsemble(study=guessed).update(guessed.candidates(), 8)
    assert scored is not None
    assert scored.ensemble == pytest.approx(1 / 3, abs=0.07), "selected on the rows it is scored on it would be higher"


def test_a_member_that_is_better_than_all_others_makes_the_ensemble(guessed: Study) -> None:
    sure = guessed.candidates()[-1]
    assert sure.checkpoint is not None
    np.save(sure.checkpoint / _layout.PROBABILITIES, np.eye(3, dtype=np.float32)[LABELS])
    scored = RunningEnsemble(study=guessed).update(guessed.candidates(), 8)
    assert scored is not None
    assert (scored.ensemble, scored.members) == (1.0, (sure.number,))


def test_an_unchanged_pool_and_a_lone_trial_are_not_scored(guessed: Study) -> None:
    running, candidates = RunningEnsemble(study=guessed), guessed.candidates()
    assert running.update(candidates[:1], 1) is None
    assert running.update(candidates, 8) is not None
    assert running.update(candidates, 9) is None
    assert len(running.points) == 1


def test_a_search_that_goes_on_continues_the_curve_and_the_members(
    root: Path, data: fakes.FakeData, events: list[Event]
) -> None:
    before = search(root, data, 4).standing
    after = search(root, data, 7, events.append).standing
    assert after["points"][:3] == before["points"]
    assert [point[0] for point in after["points"]] == [2, 3, 4, 5, 6, 7]
    with open_writer(fakes.spec(), root, data) as writer:
        session = Session(writer, Limits(trials=7), emit=lambda _: None)
        assert session.ensemble == (len(after["members"]), after["points"][-1][1])


def test_members_below_the_best_keep_their_files(
    root: Path, data: fakes.FakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ferhpo.study.artifacts.keep_best.__kwdefaults__", {"keep": 1, "also": (), "found": None})
    everyone = lambda probs_mnc, *_, **__: np.full(len(probs_mnc), 1 / len(probs_mnc))  # noqa: E731
    monkeypatch.setattr("ferhpo.search.anytime.greedy", everyone)
    found = search(root, data, 8)
    kept = {t.number for t in found.candidates()}
    assert set(found.standing["members"]) <= kept
    assert len(kept) > 1
    keep_best(found)
    assert len(found.candidates()) == 1, "without its members named only the best is kept"


def test_damage_is_one_note_and_the_search_goes_on(root: Path, data: fakes.FakeData, events: list[Event]) -> None:
    search(root, data, 2)
    for path in root.rglob(_layout.PROBABILITIES):
        path.write_bytes(b"x")
    found = search(root, data, 5, events.append)
    notes = [e.text for e in events if isinstance(e, Note)]
    assert len(notes) == 1
    assert "the running ensemble is left out from here on: trial" in notes[0]
    assert sum(t.counts for t in found.trials()) == 5


def test_the_curve_is_thinned_beyond_its_bound(guessed: Study) -> None:
    points = [[float(n), 0.5, 0.4] for n in range(POINTS)]
    running = RunningEnsemble(study=guessed, points=points)
    running.update(guessed.candidates(), POINTS)
    assert len(running.points) <= POINTS // 2 + 2
    assert (running.points[0][0], running.points[-1][0]) == (0, POINTS)


def test_of_a_large_validation_split_a_share_of_each_person_is_scored(
    guessed: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(guessed.folder / "val.npz", labels=LABELS, groups=np.arange(ROWS) * 2 // ROWS)
    monkeypatch.setattr(anytime, "CELLS", ROWS)
    running = RunningEnsemble(study=guessed)
    assert running.update(guessed.candidates(), 8) is not None
    assert running._rows is not None
    rows_n, _, fold_n = running._rows
    assert list(rows_n[:4]) == [0, 3, 6, 9]
    assert (fold_n == fold_n[0]).sum() == (rows_n < ROWS // 2).sum(), "each person is one fold"
