"""`[reported]`: what others published of a system, in its study file, to be set beside what it reaches."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any, Self

from ferhpo.errors import UsageError, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """Published figures; several of one kind contradict each other, and none is left out.

    Args:
        data: the format of the data they are of, one of `sections.FORMATS`; empty where nobody said.
        val_accuracy, test_accuracy: shares, 0 to 1.
        val_loss, test_loss: mean cross-entropy in nats.
        val_macro_f1, test_macro_f1: shares, 0 to 1.
        epoch_seconds: of a pass over the training rows, on the authors' machine.
    """

    data: str = ""
    val_accuracy: tuple[float, ...] = ()
    val_loss: tuple[float, ...] = ()
    val_macro_f1: tuple[float, ...] = ()
    test_accuracy: tuple[float, ...] = ()
    test_loss: tuple[float, ...] = ()
    test_macro_f1: tuple[float, ...] = ()
    epoch_seconds: tuple[float, ...] = ()

    @classmethod
    def from_toml(cls, table: Mapping[str, Any]) -> Self:
        """Read the table of a study file: a number, or a list of them, a key.

        Raises:
            UsageError: a key is unknown, or a figure is none.
        """
        return cls(**{name: _one(name, value) for name, value in table.items()})

    def figures(self) -> dict[str, tuple[float, ...]]:
        """Return what was published, by name."""
        return {name: getattr(self, name) for name in FIGURES if getattr(self, name)}


FIGURES = tuple(f.name for f in fields(Reported) if f.name != "data")


def _one(name: str, value: Any) -> Any:
    if name == "data":
        if not isinstance(value, str):
            msg = f"data of [reported] takes the name of a format, got {value!r}"
            raise UsageError(msg)
        return value
    if name not in FIGURES:
        msg = f"unknown key '{name}' in [reported]{did_you_mean(name, ('data', *FIGURES))}"
        raise UsageError(msg)
    found = value if isinstance(value, list) else [value]
    share = name.endswith(("accuracy", "f1"))
    for number in found:
        plain = isinstance(number, (int, float)) and not isinstance(number, bool) and isfinite(number)
        if not plain or not 0 <= number <= (1 if share else float("inf")):
            kind = "a share from 0 to 1" if share else "a number of 0 or more"
            msg = f"{name} takes {kind}, or a list of such, got {value!r}"
            raise UsageError(msg)
    return tuple(map(float, found))
