"""A line that says what a study is about to learn from."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ferhpo.data.cache import Prepared

REASONS = {
    "elsewhere": "images outside the folders of classes",
    "not_in_common": "images of classes that not all sets have",
    "train_in_val": "training images also in validation",
    "train_in_test": "training images also in test",
    "val_in_test": "validation images also in test",
    "train_near_val": "training images nearly in validation",
    "train_near_test": "training images nearly in test",
    "val_near_test": "validation images nearly in test",
    "blank": "blank training images",
}


def in_one_line(data: "Prepared") -> str:
    """Return prepared images in one line: source, rows of each split, what was dropped, classes nothing validates."""
    rows = ", ".join(f"{name} {sum(counts.values())}" for name, counts in data.counts.items())
    dropped = ", ".join(f"{n} {REASONS.get(key, key)}" for key, n in data.dropped.items() if n)
    absent = ", ".join(name for name, n in data.counts["val"].items() if not n)
    source = Path(data.source).name if data.source else "rendered faces"
    told = f"data: {source}: {rows}" + (f"; dropped {dropped}" if dropped else "")
    return told + (f"; no validation images of {absent}" if absent else "")
