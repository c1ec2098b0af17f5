"""Spends a budget on trials.

In: a study file, data, a budget. Out: a study database, checkpoints, and events for whoever watches.
Never: opens the test split, draws on a screen, or lets any process but the driver write the database.
"""

import sys
from types import ModuleType
from typing import Any


class _Search(ModuleType):
    """This folder, which `from ferhpo import search` gives; called, it is `api.search`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Search a study: see `api.search`."""
        from ferhpo.search import api

        return api.search(*args, **kwargs)


sys.modules[__name__].__class__ = _Search
