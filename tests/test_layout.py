"""Paths that several folders of the package share, and that studies on users' disks already have."""

from pathlib import Path

from ferhpo import _layout


def test_a_study_its_trials_and_their_epochs_have_the_documented_places() -> None:
    study = _layout.study_folder(Path("studies"), "toy")
    trial = _layout.trial_folder(study, 7)
    assert _layout.epoch_folder(trial, 3) == Path("studies/toy/trials/0007/epoch-0003")
    assert _layout.cache(Path("studies")) == Path("studies/.cache")


def test_names_of_what_prepared_images_and_ensembles_leave_are_pinned() -> None:
    assert (_layout.PREPARED, _layout.ENSEMBLE, _layout.INDEX) == ("prepared.json", "ensemble", "ensemble.json")


def test_names_of_what_an_epoch_leaves_are_pinned() -> None:
    names = (_layout.WEIGHTS, _layout.CARD, _layout.PROBABILITIES, _layout.RECORD, _layout.STATE, _layout.STATE_TENSORS)
    assert names == (
        "model.safetensors",
        "model.json",
        "val_probs.npy",
        "record.json",
        "state.json",
        "state.safetensors",
    )


def test_the_last_epoch_is_the_highest_number(tmp_path: Path) -> None:
    for epoch in (2, 10, 9):
        _layout.epoch_folder(tmp_path, epoch).mkdir()
    assert _layout.last_epoch(tmp_path) == _layout.epoch_folder(tmp_path, 10)


def test_an_epoch_that_was_being_written_is_not_the_last_one(tmp_path: Path) -> None:
    _layout.epoch_folder(tmp_path, 1).mkdir()
    (tmp_path / ".epoch-0002.0123abcd").mkdir()
    assert _layout.last_epoch(tmp_path) == _layout.epoch_folder(tmp_path, 1)


def test_a_trial_without_files_has_no_last_epoch(tmp_path: Path) -> None:
    assert _layout.last_epoch(tmp_path) is None
    assert _layout.last_epoch(tmp_path / "nowhere") is None
