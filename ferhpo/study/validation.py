"""The validation rows of a study beside its trials: which class each is of, and which rows show the same image."""

from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ferhpo import _atomic
from ferhpo.errors import CheckpointError

FILE = "val.npz"  # in the study's folder


def write_validation(folder: Path, labels_n: np.ndarray, groups_n: np.ndarray) -> None:
    """Write labels and duplicate groups of the validation rows into a study's folder."""
    content = BytesIO()
    np.savez(content, labels=labels_n.astype(np.int64), groups=groups_n.astype(np.int64))
    _atomic.write_bytes(folder / FILE, content.getvalue())


def read_validation(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return label and duplicate group of each validation row, both int64.

    Raises:
        CheckpointError: the file is damaged or missing.
    """
    path = folder / FILE
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as arrays:
            return arrays["labels"].astype(np.int64), arrays["groups"].astype(np.int64)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        msg = (
            f"a study keeps its validation labels in {path}, which cannot be read ({error}); `ferhpo search` writes it "
            "anew"
        )
        raise CheckpointError(msg) from None
