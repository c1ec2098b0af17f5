"""ferhpo: hyperparameter search and ensembling for image classification.

Importing this package imports nothing heavy; each folder is one step of the way
space -> data -> models -> training -> (search writes) study -> ensemble -> report -> cli.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `Ensemble` when it is asked for."""
    if name == "Ensemble":
        return import_module("ferhpo.ensemble.infer").Ensemble
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
