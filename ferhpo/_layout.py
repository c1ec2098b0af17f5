"""Where things lie on disk: paths and file names that two folders of the package share; docs/design.md has the tree."""

from pathlib import Path

WEIGHTS = "model.safetensors"  # the evaluated weights (EMA where it is on)
CARD = "model.json"  # what rebuilds the model, the epoch's figures, checksums of its neighbours
PROBABILITIES = "val_probs.npy"  # float32, validation rows x classes, of the same weights
RECORD = "record.json"  # what the worker reported for the epoch, for a search that was cut off before it was stored
STATE_TENSORS = "state.safetensors"  # with STATE: what a training needs to go on; deleted once it is over
STATE = "state.json"
PREPARED = "prepared.json"  # the card of prepared images
ENSEMBLE = "ensemble"  # a study's ensemble, below its folder,
INDEX = "ensemble.json"  # and how its members are combined
LOGS = "logs"  # every event of every search, and the note of a Ray that may have to be ended
SEARCH_LOG = f"{LOGS}/search.log"


def cache(root: Path) -> Path:
    """Return the folder of prepared images, shared by all studies of a root."""
    return root / ".cache"


def study_folder(root: Path, name: str) -> Path:
    """Return the folder that holds everything one study leaves."""
    return root / name


def trial_folder(study: Path, number: int) -> Path:
    """Return the folder of trial ``number`` in a study's folder."""
    return study / "trials" / f"{number:04d}"


def trials_on_disk(study: Path) -> list[int]:
    """Return the numbers of the trials that have a folder in a study's."""
    return [int(folder.name) for folder in (study / "trials").glob("*") if folder.name.isdigit()]


def epoch_folder(trial: Path, epoch: int) -> Path:
    """Return the folder of one epoch (counted from 1) in a trial's folder."""
    return trial / f"epoch-{epoch:04d}"


def last_epoch(trial: Path) -> Path | None:
    """Return the newest complete epoch folder of a trial, None if it has none."""
    return max(trial.glob("epoch-*"), key=lambda folder: int(folder.name.removeprefix("epoch-")), default=None)
