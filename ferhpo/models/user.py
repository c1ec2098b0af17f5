"""Architectures that a user brings: `python:MODULE:FUNCTION` calls FUNCTION(config, classes, channels) of a module.

A checkpoint's card names its architecture, and a card is data: it must not make whoever reads it import what it likes.
So a module counts only if the program has imported it already, or if the environment's FERHPO_MODULES names it.
"""

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from ferhpo.errors import ModelError, UsageError, one_line
from ferhpo.space.config import TrialConfig

if TYPE_CHECKING:
    from torch import nn

LIBRARY = "python"
VARIABLE = "FERHPO_MODULES"  # module names, separated by commas
_TRUSTED: set[str] = set()


def trust(arch: str) -> None:
    """Let this process import the module of ``arch``: the search that started it was begun with it."""
    library, _, rest = arch.partition(":")
    if library == LIBRARY:
        _TRUSTED.add(rest.partition(":")[0])


def constructor(arch: str) -> "Callable[[TrialConfig, int, int], nn.Module]":
    """Return the function that ``python:MODULE:FUNCTION`` names.

    Raises:
        UsageError: it has another form, its module is neither imported nor in FERHPO_MODULES, or has no such function.
    """
    module, colon, function = arch.partition(":")[2].partition(":")
    if not colon or not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        msg = f"an architecture of your own is named python:MODULE:FUNCTION, got '{arch}'"
        raise UsageError(msg)
    if module == "__main__":
        msg = f"an architecture must be in a module that workers can import, got '{arch}'; move it to a file of its own"
        raise UsageError(msg)
    named = {name.strip() for name in os.environ.get(VARIABLE, "").split(",")}
    if module not in sys.modules and module not in named | _TRUSTED:
        msg = (
            f"an architecture's module must be imported or named in {VARIABLE}, got '{arch}'; if you trust it, import "
            f"{module} first, or set {VARIABLE}={module}"
        )
        raise UsageError(msg)
    try:
        found: Any = getattr(import_module(module), function, None)
    except Exception as error:
        rule = "an architecture's module must be importable"
        msg = f"{rule}, {module} is not ({one_line(error)}); put its folder on PYTHONPATH"
        raise UsageError(msg) from error
    if not callable(found):
        msg = f"an architecture must be a function of its module, and {module} has no {function}; define it there"
        raise UsageError(msg)
    return cast("Callable[[TrialConfig, int, int], nn.Module]", found)


def build(config: TrialConfig, *, classes: int, channels: int) -> "nn.Module":
    """Return the net that the user's function makes.

    Raises:
        UsageError: as `constructor`.
        ModelError: the function fails, or returns something else.
    """
    from torch import nn

    make = constructor(config.arch)
    try:
        model = make(config, classes, channels)
    except Exception as error:
        rule = f"{config.arch} must return a net for (config, classes, channels)"
        msg = f"{rule}, it failed ({one_line(error)}); correct it"
        raise ModelError(msg) from error
    if not isinstance(model, nn.Module):
        msg = f"{config.arch} must return a torch.nn.Module, got {type(model).__name__}; correct it"
        raise ModelError(msg)
    return model
