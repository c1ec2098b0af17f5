"""Checkpoints and held-out predictions on disk: those of the best K and of the front stay, the rest go."""

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from ferhpo import _layout
from ferhpo.study.study import Study
from ferhpo.study.trial import Trial

KEEP = 20  # best trials whose checkpoint and validation probabilities are kept


def drop_state(epoch: Path) -> None:
    """Delete what only a training that goes on needs, and other epochs that a kill left; this one's trial is over."""
    for name in (_layout.STATE, _layout.STATE_TENSORS):
        (epoch / name).unlink(missing_ok=True)
    for other in (*epoch.parent.glob("epoch-*"), *epoch.parent.glob(".epoch-*")):
        if other != epoch:
            shutil.rmtree(other, ignore_errors=True)


def keep_best(
    study: Study, *, keep: int = KEEP, also: Collection[int] = (), found: Sequence[Trial] | None = None
) -> list[int]:
    """Delete the files of ended trials that are neither among the best nor on the front; those of repeats stay.

    Args:
        study: the study.
        keep: how many of the best COMPLETE and PRUNED trials keep theirs.
        also: numbers that keep theirs whatever their rank.
        found: its trials and repeats where they were read already.

    Returns:
        Numbers of the trials whose files were deleted.
    """
    found = study.every() if found is None else found
    own = [t for t in found if not t.repeats]
    kept = {t.number for t in study.candidates(own)[:keep]} | set(also) | {t.number for t in found if t.repeats}
    if len(study.objectives) > 1:  # whose best by the metric are the dear ones alone
        kept |= {t.number for t in study.front(own)}
    ended = {t.number for t in found if t.state in {"COMPLETE", "PRUNED", "FAIL"}}
    dropped = sorted(number for number in _layout.trials_on_disk(study.folder) if number in ended - kept)
    for number in dropped:
        shutil.rmtree(_layout.trial_folder(study.folder, number), ignore_errors=True)  # what stays goes next time
    return dropped
