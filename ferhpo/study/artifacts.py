"""Checkpoints and held-out predictions on disk: the best K stay, the rest go."""

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from ferhpo import _layout
from ferhpo.study.repeats import REPEATS
from ferhpo.study.study import Study, Trial

KEEP = 20  # best trials whose checkpoint and validation probabilities are kept


def drop_state(epoch: Path) -> None:
    """Delete what only a training that goes on needs; the trial of this epoch folder is over."""
    for name in (_layout.STATE, _layout.STATE_TENSORS):
        (epoch / name).unlink(missing_ok=True)


def keep_best(
    study: Study, *, keep: int = KEEP, also: Collection[int] = (), found: Sequence[Trial] | None = None
) -> list[int]:
    """Delete the files of ended trials that are not among the best; those of repeats stay.

    Args:
        study: the study.
        keep: how many of the best COMPLETE and PRUNED trials keep theirs.
        also: numbers that keep theirs whatever their rank.
        found: its trials and repeats where they were read already.

    Returns:
        Numbers of the trials whose files were deleted.
    """
    found = [*study.trials(), *study.repeats()] if found is None else found
    repeats = {t.number for t in found if REPEATS in t.attrs}
    kept = {t.number for t in study.candidates(found)[:keep]} | set(also) | repeats
    dropped = []
    for trial in found:
        folder = _layout.trial_folder(study.folder, trial.number)
        if trial.state in {"COMPLETE", "PRUNED", "FAIL"} and trial.number not in kept and folder.is_dir():
            shutil.rmtree(folder)
            dropped.append(trial.number)
    return dropped
