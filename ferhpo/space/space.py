"""`Space`: dimensions with conditions, and the define-by-run sampling of one configuration from an Optuna trial."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ferhpo.errors import UsageError, did_you_mean
from ferhpo.space.config import RUN_SETTINGS, SETTINGS, TrialConfig
from ferhpo.space.dimension import Dimension

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Dimensions that are searched and settings that are fixed.

    Args:
        dimensions: in any order; they are asked so that conditions come first.
        fixed: settings with the one value that every trial has.
    """

    dimensions: tuple[Dimension, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        TrialConfig.from_params(self.fixed)
        for name in self.fixed:
            if name in RUN_SETTINGS:
                msg = f"{name} cannot be set here: it belongs to the study ([budget] epochs, seed)"
                raise UsageError(msg)
        rank = {name: i for i, name in enumerate(SETTINGS)}
        by_name = {d.name: d for d in sorted(self.dimensions, key=lambda d: rank[d.name])}
        graph = {
            name: [other for other in (*d.when, *_read_by(name)) if other in by_name] for name, d in by_name.items()
        }
        try:
            order = list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            msg = f"conditions must not go in a circle, got {' -> '.join(error.args[1])}; remove one `when`"
            raise UsageError(msg) from None
        object.__setattr__(self, "dimensions", tuple(by_name[name] for name in order))

    @property
    def conditional(self) -> tuple[str, ...]:
        """Return the dimensions that some trials are asked for and others are not, by the values of other ones."""
        options = self._options()
        return tuple(d.name for d in self.dimensions if _verdicts(d, options, {}) == {True, False})

    @property
    def unreachable(self) -> tuple[str, ...]:
        """Return the dimensions that no trial is asked for, whatever the others are."""
        options = self._options()
        return tuple(d.name for d in self.dimensions if True not in _verdicts(d, options, {}))

    @property
    def idle(self) -> tuple[str, ...]:
        """Return the fixed settings that have no say, whatever the others are."""
        options = self._options()
        fixed = (Dimension(name=name, choices=(value,), default=value) for name, value in self.fixed.items())
        return tuple(d.name for d in fixed if True not in _verdicts(d, options, {}))

    def _options(self) -> dict[str, list[Any]]:
        """Return the values of each setting that may decide whether a dimension applies."""
        options = {name: [value] for name, value in (TrialConfig().params() | dict(self.fixed)).items()}
        for d in self.dimensions:
            named = [value for other in self.dimensions for value in other.when.get(d.name, ())]
            options[d.name] = [*d.choices] or [d.low, d.high, d.default, *(v for v in named if d.has(v))]
        return options

    def defaults(self) -> dict[str, Any]:
        """Return the parameters of the default trial: the default of every dimension that applies."""
        return self._walk(lambda d: d.default)[1]

    def point(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of a trial that has the settings given and the default of every other dimension.

        Raises:
            UsageError: a setting is not searched, has no effect with the others, or is not of its dimension.
        """
        names = {d.name for d in self.dimensions}
        for name in given:
            if name not in names:
                msg = f"only what [space] searches can be set, got '{name}'{did_you_mean(name, names)}"
                raise UsageError(msg)
        asked = self._walk(lambda d: d.check(given[d.name]) if d.name in given else d.default)[1]
        for name in given:
            if name not in asked:
                msg = f"{name} has no effect with these other settings; leave it out"
                raise UsageError(msg)
        return asked

    def default_config(self) -> TrialConfig:
        """Return the default trial's configuration."""
        return self._walk(lambda d: d.default)[0]

    def sample(
        self, trial: "optuna.trial.BaseTrial", stored: Mapping[str, tuple[Any, ...]] = MappingProxyType({})
    ) -> TrialConfig:
        """Ask the trial for every dimension that applies and return the whole configuration.

        Args:
            trial: Optuna's.
            stored: lists that choices are stored in, by dimension, see `Dimension.suggest`.
        """
        return self._walk(lambda d: d.suggest(trial, stored.get(d.name, ())))[0]

    def _walk(self, value_of: Any) -> tuple[TrialConfig, dict[str, Any]]:
        asked: dict[str, Any] = {}
        settings = TrialConfig().params() | {d.name: d.default for d in self.dimensions} | dict(self.fixed)
        for dimension in self.dimensions:
            if applies(dimension, settings):
                asked[dimension.name] = settings[dimension.name] = value_of(dimension)
        return TrialConfig.from_params(settings), asked


def applies(dimension: Dimension, settings: Mapping[str, Any]) -> bool:
    """Tell whether a dimension has a say, given every setting: its own `when`, and the setting's nature."""
    asked = (settings[other] in values for other, values in dimension.when.items())
    return SETTINGS[dimension.name].matters(settings) and all(asked)


def _verdicts(dimension: Dimension, options: Mapping[str, list[Any]], chosen: Mapping[str, Any]) -> set[bool]:
    """Return whether a dimension applies, for all values of the settings that it looks at, as far as not chosen yet."""
    try:
        return {applies(dimension, chosen)}
    except KeyError as error:
        name = error.args[0]
        return {v for value in options[name] for v in _verdicts(dimension, options, {**chosen, name: value})}


class _Read(dict[str, Any]):
    """Settings that note which of them are looked at."""

    def __init__(self) -> None:
        super().__init__(TrialConfig().params())
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.names.add(name)
        return super().__getitem__(name)


def _read_by(name: str) -> set[str]:
    """Return the settings that decide whether ``name`` matters."""
    read = _Read()
    SETTINGS[name].matters(read)
    return read.names
