"""`Setting`: what one field of `TrialConfig` accepts, and when it matters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from sys import float_info
from typing import Any

from ferhpo.errors import UsageError, did_you_mean

Params = Mapping[str, Any]  # settings by name
_A = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _always(_settings: Params) -> bool:
    """Tell of a setting that it has an effect, whatever the others are."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Args:
        name: the field's.
        kind: int, float, str or bool.
        doc: what it means, in words.
        low: least number, None if there is none.
        high: greatest number, likewise.
        choices: the only values, empty if all of its kind are.
        optional: None is a value too.
        matters: tells from the settings before it whether it has any effect.
        live: it may change while a net trains: no tensor of the training depends on it.
    """

    name: str
    kind: type
    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    optional: bool = False
    matters: Callable[[Params], bool] = _always
    live: bool = False

    def check(self, value: object) -> Any:
        """Return ``value`` as this field's type.

        Raises:
            UsageError: it is of another type or outside what is allowed.
        """
        if value is None and self.optional:
            return None
        if isinstance(value, int) and abs(value) > float_info.max:  # neither a float nor, in full, a message
            msg = f"{self.name} must lie within +-{float_info.max:g}, got a whole number beyond"
            raise UsageError(msg)
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not self.kind:
            msg = f"{self.name} takes {_A[self.kind]}, got {value!r}"
            raise UsageError(msg)
        if self.choices and value not in self.choices:
            msg = f"{self.name} must be a known one, got {value!r}{did_you_mean(str(value), map(str, self.choices))}"
            raise UsageError(msg)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            self._check_range(value)
        return value

    def _check_range(self, value: float) -> None:
        low, high = self.low, self.high
        if not isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
            upper = "" if high is None else f" and at most {high:g}"
            msg = f"{self.name} must be at least {low:g}{upper}, got {value!r}"
            raise UsageError(msg)
