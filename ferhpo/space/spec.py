"""A study file (TOML), read strictly: what is not understood is refused with file and line."""

import re
import tomllib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from ferhpo.errors import SpecError, UsageError, did_you_mean
from ferhpo.metrics import METRICS, quantity
from ferhpo.space.aims import Constraint, check_constraints, check_objectives
from ferhpo.space.config import SETTINGS, TrialConfig
from ferhpo.space.dimension import dimension_from_toml
from ferhpo.space.files import in_tables
from ferhpo.space.lines import line_of
from ferhpo.space.reported import Reported
from ferhpo.space.sections import BudgetSpec, DataSpec, SamplerSpec, SchedulerSpec
from ferhpo.space.space import Space
from ferhpo.space.tries import Try, parse_tries

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpec:
    """A study file as values.

    Args:
        name: the study's name, from the file's.
        path: where the file stands (or a word, for a text from a database).
        text: the file as it was read, which the study stores.
        base: the folder that relative paths of weights start from, the file's; None leaves them as they are.
        description: one line for people.
        objectives: what is searched for, one or several, by name.
        constraints: what a trial must keep.
        seed: of sampler and trials.
        tries: the `[[try]]` tables, in the file's order.
        reported: what others published of this system.
    """

    name: str
    path: Path | str
    text: str
    base: Path | None = None
    description: str = ""
    objectives: tuple[str, ...] = ("accuracy",)
    constraints: tuple[Constraint, ...] = ()
    seed: int = 0
    data: DataSpec = field(default_factory=DataSpec)
    budget: BudgetSpec = field(default_factory=BudgetSpec)
    sampler: SamplerSpec = field(default_factory=SamplerSpec)
    scheduler: SchedulerSpec = field(default_factory=SchedulerSpec)
    space: Space = field(default_factory=Space)
    tries: tuple[Try, ...] = ()
    reported: Reported = field(default_factory=Reported)

    @property
    def metric(self) -> str:
        """The first objective that is a validation figure: what trials are ranked by, and ensembles."""
        return next(name for name in self.objectives if name in METRICS)

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """``"maximize"`` or ``"minimize"``: the metric's."""
        return quantity(self.metric).direction

    @property
    def directions(self) -> list[Literal["maximize", "minimize"]]:
        """Those of the objectives."""
        return [quantity(name).direction for name in self.objectives]

    @property
    def quantities(self) -> frozenset[str]:
        """What must be known of a trial: its objectives, and what is constrained."""
        return frozenset(self.objectives) | {c.quantity for c in self.constraints}

    def error(self, message: str, *keys: str) -> SpecError:
        """Return a SpecError at the line that sets ``keys`` (section, key)."""
        return SpecError(message, self.path, line_of(self.text, *keys))


SECTIONS: Mapping[str, type] = {
    "data": DataSpec,
    "budget": BudgetSpec,
    "sampler": SamplerSpec,
    "scheduler": SchedulerSpec,
}
TOP = {"description": str, "metric": str, "direction": str, "constraints": tuple, "seed": int}


def read_spec(path: Path) -> StudySpec:
    """Read a study file.

    Raises:
        SpecError: it cannot be read or breaks a rule; the message has file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"a study file must be a readable text file ({getattr(error, 'strerror', None) or 'it is not UTF-8'})"
        raise SpecError(msg, path) from None
    return parse_spec(text, name=path.stem, path=path)


def parse_spec(text: str, *, name: str, path: Path | str = "study file", base: Path | None = None) -> StudySpec:
    """Read the text of a study file; raises as `read_spec`."""
    text = text.removeprefix("\ufeff")  # some editors begin a file with this byte order mark
    if not NAME.fullmatch(name):
        msg = f"a study's name is made of letters, digits, '.', '_' and '-', got '{name}'; rename the file"
        raise SpecError(msg, path)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"a study file must be TOML: {error}"
        raise SpecError(msg, path) from None
    base = path.parent.resolve() if base is None and isinstance(path, Path) else base
    if base is not None:
        table |= {key: in_tables(table[key], base) for key in ("space", "try") if key in table}
    reader = _Reader(text, path)
    reader.names(table, {*TOP, *SECTIONS, "reported", "space", "try"})
    values: dict[str, Any] = {}
    for key, kind in TOP.items():
        if key in table:
            several = key in {"metric", "direction"} and isinstance(table[key], list)
            values[key] = reader.typed(table[key], tuple if several else kind, key)
    for section, made in SECTIONS.items():
        values[section] = reader.section(section, made, table.get(section, {}))
    values["reported"] = reader.reported(table.get("reported", {}))
    values["space"] = reader.space(table.get("space", {}))
    values["space"] = _seeing(values["space"], values["data"], reader)
    values["tries"] = parse_tries(table.get("try", []), values["space"], text=text, path=path)
    with reader.at("seed"):
        SETTINGS["seed"].check(values.get("seed", 0))
    given, direction = values.pop("metric", "accuracy"), values.pop("direction", None)
    with reader.at("metric"):
        values["objectives"] = check_objectives((given,) if isinstance(given, str) else given)
    with reader.at("constraints"):
        values["constraints"] = check_constraints(values.get("constraints", ()))
    wanted = tuple(quantity(name).direction for name in values["objectives"])
    said = (direction,) if isinstance(direction, str) else direction
    if said not in {None, wanted}:
        owner = "metrics'" if len(wanted) > 1 else "metric's"
        msg = f"direction must be the {owner}, {', '.join(wanted)}, got '{', '.join(said)}'; it may be left out"
        raise reader.error(msg, "direction")
    found = StudySpec(name=name, path=path, text=text, base=base, **values)
    if found.budget.trial_time and (found.scheduler.name != "none" or found.sampler.name == "fidelity"):
        got = f"{found.scheduler.name} and {found.sampler.name}"
        msg = (
            'trial_time needs scheduler "none" and a sampler other than "fidelity", since the others compare epochs, '
            f"got {got}"
        )
        raise found.error(msg, "budget", "trial_time")
    if found.scheduler.name == "pbt" and not any(SETTINGS[d.name].live for d in found.space.dimensions):
        msg = (
            "pbt changes settings while a net trains, and [space] searches none that may change then; add lr, dropout "
            "or augment"
        )
        raise found.error(msg, "scheduler", "name")
    return found


def of_images(data: DataSpec) -> dict[str, int]:
    """Return the settings of every net that its images decide and that differ from a setting's default.

    Their frames, and, unless `[space]` says another, their size.
    """
    usual = TrialConfig()
    seen = {"frames": data.frames, "image_size": data.size}
    return {name: value for name, value in seen.items() if value != getattr(usual, name)}


def _seeing(space: Space, data: DataSpec, reader: "_Reader") -> Space:
    named = {*space.fixed, *(d.name for d in space.dimensions)}
    if "frames" in named:
        msg = "[space] cannot set frames, which follows from the images; set it in [data]"
        raise reader.error(msg, "space", "frames")
    said = {name: value for name, value in of_images(data).items() if name not in named}
    return replace(space, fixed={**space.fixed, **said})


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns tables into dataclasses and puts file and line in front of what goes wrong."""

    text: str
    path: Path | str

    def error(self, message: str, *keys: str) -> SpecError:
        return SpecError(message, self.path, line_of(self.text, *keys))

    @contextmanager
    def at(self, *keys: str) -> Generator[None]:
        try:
            yield
        except SpecError:
            raise
        except UsageError as error:
            raise self.error(str(error), *keys) from None

    def names(self, table: Mapping[str, Any], known: set[str], *section: str) -> None:
        for key in table:
            if key not in known:
                where = f" in [{section[0]}]" if section else ""
                msg = f"unknown key '{key}'{where}{did_you_mean(key, known)}"
                raise self.error(msg, *section, key)

    def typed(self, value: Any, kind: type, *keys: str) -> Any:
        if kind is float and type(value) is int:
            value = float(value)
        if kind is tuple and type(value) is list and all(type(one) is str for one in value):
            value = tuple(value)
        if type(value) is not kind:
            msg = f"{keys[-1]} takes {_A[kind]}, got {value!r}"
            raise self.error(msg, *keys)
        return value

    def section(self, section: str, made: type, table: Any) -> Any:
        table = self.typed(table, dict, section)
        kinds = {f.name: _KINDS[str(getattr(f.type, "__name__", f.type))] for f in fields(made)}
        self.names(table, set(kinds), section)
        values: dict[str, Any] = {}
        for key, value in table.items():
            values[key] = self.typed(value, kinds[key], section, key)
            with self.at(section, key):
                made(**{key: values[key]})
        return made(**values)

    def reported(self, table: Any) -> Reported:
        for key, value in self.typed(table, dict, "reported").items():
            with self.at("reported", key):
                Reported.from_toml({key: value})
        return Reported.from_toml(table)

    def space(self, table: Any) -> Space:
        table = self.typed(table, dict, "space")
        dimensions, fixed = [], {}
        for name, entry in table.items():
            with self.at("space", name):
                if isinstance(entry, dict):
                    dimensions.append(dimension_from_toml(name, entry))
                else:
                    Space(fixed={name: entry})
                    fixed[name] = entry
        with self.at("space"):
            return Space(dimensions=tuple(dimensions), fixed=fixed)


_A = {
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
    bool: "true or false",
    dict: "a table",
    tuple: "a list of texts",
}
_KINDS = {"str": str, "int": int, "float": float, "bool": bool, "str | None": str, "tuple": tuple}
