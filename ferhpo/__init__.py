"""ferhpo: hyperparameter search and ensembling for image classification.

Importing this package imports nothing heavy; each folder is one step of the way
space -> data -> models -> training -> (search writes) study -> ensemble -> report -> cli.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_FOUND_IN = {  # what is imported when it is asked for; `search` is the folder itself, which can be called
    "Ensemble": "ferhpo.ensemble.infer",
    "Images": "ferhpo.data.arrays",
    "Study": "ferhpo.study.study",
    "load_spec": "ferhpo.search.api",
}


def __getattr__(name: str) -> Any:
    """Import what `from ferhpo import ...` asks for."""
    if name in _FOUND_IN:
        return getattr(import_module(_FOUND_IN[name]), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
