"""`Dimension`: a setting that is searched, checked where it is declared, and how an Optuna trial is asked for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from ferhpo.errors import UsageError, did_you_mean
from ferhpo.space.config import RUN_SETTINGS, SETTINGS, check_names

if TYPE_CHECKING:
    import optuna

When = Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """A setting that is searched: a range (`low` to `high`) or a choice.

    Args:
        name: the setting of TrialConfig.
        default: the value of the default trial, and of every trial to which the dimension does not apply.
        low: smallest value of a range, included.
        high: largest value of a range, included.
        log: sample the logarithm evenly; needs ``low > 0``.
        step: distance between the values of a range; excludes ``log``.
        choices: the values to choose from, in place of a range.
        when: settings and the values of theirs under which this dimension applies.

    Raises:
        UsageError: any of it makes no sense; the message names the dimension.
    """

    name: str
    default: Any
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()
    when: When = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_names({self.name: None})
        if self.name in RUN_SETTINGS:
            msg = f"{self.name} cannot be searched: it belongs to the study ([budget] epochs, seed)"
            raise UsageError(msg)
        if not isinstance(self.log, bool):
            msg = f"the log of {self.name} must be true or false, got {self.log!r}"
            raise UsageError(msg)
        if bool(self.choices) == (self.low is not None or self.high is not None):
            msg = f"{self.name} takes either choices or low and high; give one of the two"
            raise UsageError(msg)
        if self.choices:
            self._check_choices()
        else:
            self._check_range()
        try:
            object.__setattr__(self, "default", self.check(self.default))
        except UsageError as error:
            msg = f"the default of {error}"
            raise UsageError(msg) from None
        for other, values in self.when.items():
            check_names({other: None})
            if not values:
                msg = f"the `when` of {self.name} needs at least one value of {other}; remove it or add one"
                raise UsageError(msg)
            for value in values:
                SETTINGS[other].check(value)

    def _check_choices(self) -> None:
        if self.log or self.step is not None:
            msg = f"{self.name} is a choice and takes neither log nor step; remove them"
            raise UsageError(msg)
        for value in self.choices:
            SETTINGS[self.name].check(value)
        if len(set(self.choices)) < len(self.choices):
            msg = f"{self.name} must list each choice once, got {list(self.choices)}"
            raise UsageError(msg)

    def _check_range(self) -> None:
        setting = SETTINGS[self.name]
        if self.low is None or self.high is None or setting.kind not in {int, float}:
            msg = (
                f"{self.name} takes {'both low and high' if setting.kind in {int, float} else 'choices'}; "
                "correct its entry"
            )
            raise UsageError(msg)
        low, high = setting.check(self.low), setting.check(self.high)
        if not low < high:
            msg = (
                f"{self.name} needs low < high, got low={low}, high={high}; a fixed value is written "
                f"{self.name} = {low}"
            )
            raise UsageError(msg)
        if self.log and low <= 0:
            msg = f"{self.name} with log = true needs low > 0, got low={low}"
            raise UsageError(msg)
        if self.step is not None:
            self._check_step(low, high)

    def _check_step(self, low: float, high: float) -> None:
        step, kind = self.step, SETTINGS[self.name].kind
        fits = type(step) is kind or (kind is float and type(step) is int)
        if step is None or not fits or self.log or not isfinite(step) or not 0 < step <= high - low:
            msg = f"{self.name} needs a step above 0, at most high - low, and no log beside it, got step={step!r}"
            raise UsageError(msg)
        steps = (high - low) / step
        if abs(steps - round(steps)) > 1e-8:
            msg = f"the high of {self.name} must be low and a whole number of steps, got {high} with step={step}"
            raise UsageError(msg)

    def distribution(self) -> "optuna.distributions.BaseDistribution":
        """Return what Optuna stores of this dimension."""
        import optuna  # half a second, which reading a study file need not take

        asked = optuna.trial.FixedTrial({self.name: self.default})
        self.suggest(asked)
        return asked.distributions[self.name]

    def suggest(self, trial: "optuna.trial.BaseTrial", stored: tuple[Any, ...] = ()) -> Any:
        """Ask the trial for this dimension's value.

        Args:
            trial: Optuna's.
            stored: the list that a choice is stored in, if it is not ``choices``.
        """
        if self.choices:
            return trial.suggest_categorical(self.name, stored or self.choices)
        assert self.low is not None
        assert self.high is not None
        if SETTINGS[self.name].kind is int:
            return trial.suggest_int(self.name, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        found = trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)
        return float(found)  # Optuna draws a numpy number where a range is as small as numbers get

    def check(self, value: Any) -> Any:
        """Return a value of this dimension as its setting's type.

        Raises:
            UsageError: it is none of the choices, outside the range, or between two steps.
        """
        value = SETTINGS[self.name].check(value)
        if self.choices:
            if value not in self.choices:
                msg = f"{self.name} must be one of its choices {list(self.choices)}, got {value!r}"
                raise UsageError(msg)
            return value
        assert self.low is not None
        assert self.high is not None
        if value is None or not self.low <= value <= self.high:
            msg = f"{self.name} must be between low={self.low} and high={self.high}, got {value}"
            raise UsageError(msg)
        steps = (value - self.low) / (self.step or 1)
        if self.step is not None and abs(steps - round(steps)) > 1e-8:
            msg = f"{self.name} must be low={self.low} and a whole number of steps of {self.step}, got {value}"
            raise UsageError(msg)
        return value

    def has(self, value: Any) -> bool:
        """Tell whether a value is one of this dimension."""
        try:
            self.check(value)
        except UsageError:
            return False
        return True

    def grid(self, points: int) -> tuple[Any, ...]:
        """Return every choice or step, or ``points`` values of a range without steps, evenly, its ends included."""
        if self.choices:
            return self.choices
        assert self.low is not None
        assert self.high is not None
        whole = SETTINGS[self.name].kind is int
        if self.step is not None:
            points = round((self.high - self.low) / self.step) + 1
        shares = [i / (points - 1) for i in range(points)]
        if self.log:
            values = [self.low * (self.high / self.low) ** share for share in shares]
        else:
            values = [self.low + share * (self.high - self.low) for share in shares]
        values[-1] = self.high
        return tuple(dict.fromkeys(round(v) if whole else v for v in values))


def dimension_from_toml(name: str, entry: Mapping[str, Any]) -> Dimension:
    """Build a dimension from an inline table of a study file.

    Raises:
        UsageError: a key is unknown or missing, or `Dimension` refuses it.
    """
    known = {"low", "high", "log", "step", "choices", "default", "when"}
    for key in entry:
        if key not in known:
            msg = f"{name} has an unknown key '{key}'{did_you_mean(key, known)}"
            raise UsageError(msg)
    if "default" not in entry:
        msg = f"{name} needs a default: the value of the default trial, which runs first"
        raise UsageError(msg)
    choices = entry.get("choices", ())
    if "choices" in entry and not (isinstance(choices, list) and choices):
        msg = f"the choices of {name} must be a list with at least one value, got {choices!r}"
        raise UsageError(msg)
    when = entry.get("when", {})
    if not isinstance(when, dict):
        msg = f"the `when` of {name} must be a table like {{ optimizer = 'sgd' }}, got {when!r}"
        raise UsageError(msg)
    conditions = {k: tuple(v) if isinstance(v, list) else (v,) for k, v in when.items()}
    return Dimension(**{**entry, "name": name, "choices": tuple(choices), "when": conditions})
