"""The versions that a result depends on."""

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from ferhpo import __version__

PACKAGES = ("torch", "torchvision", "timm", "optuna", "ray", "numpy")


def versions() -> dict[str, str]:
    """Return versions by name, without those of packages that are not installed."""
    found = {"ferhpo": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):  # a training needs neither ray nor optuna
            found[name] = version(name)
    return found
