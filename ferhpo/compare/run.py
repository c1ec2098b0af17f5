"""Runs a comparison: for each system one trial as described and a search of the same time, each in a study of its own.

What is done is skipped and what was cut off goes on, so the same command again ends with the same table.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferhpo import _layout
from ferhpo._atomic import write_json
from ferhpo.compare import systems
from ferhpo.compare.judge import judge
from ferhpo.compare.weights import Weights, check_there, check_used, find, kept
from ferhpo.errors import DataError, FerhpoError, SearchError, UsageError
from ferhpo.search.budget import limits_of
from ferhpo.search.events import Emit
from ferhpo.search.machine.workers import Workers
from ferhpo.search.runner import search
from ferhpo.space.config import SETTINGS
from ferhpo.space.files import absolute
from ferhpo.space.spec import StudySpec
from ferhpo.study.source import located, open_data, recorded_data
from ferhpo.study.study import Study

if TYPE_CHECKING:
    from ferhpo.data.cache import Prepared

KINDS = ("reproduced", "searched")
SCALE = "scale.json"
Watch = Callable[[Path], AbstractContextManager[Emit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large a comparison is; one folder of studies has one.

    Args:
        minutes: of training as described, and of the search, for each system.
        image_size: pixels a side that every net sees, None leaves each study its own.
    """

    minutes: float
    image_size: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.minutes < float("inf"):
            msg = f"--minutes-each must be a number above 0, got {self.minutes:g}"
            raise UsageError(msg)
        if self.image_size is not None:
            try:
                SETTINGS["image_size"].check(self.image_size)
            except UsageError as error:
                msg = f"--image-size: {error}"
                raise UsageError(msg) from None

    def __str__(self) -> str:
        size = "each study's own size" if self.image_size is None else f"--image-size {self.image_size}"
        return f"--minutes-each {self.minutes:g} and {size}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and on what a comparison runs.

    Args:
        out: folder of its studies.
        data: images, None takes a study's own, and rendered faces where it names none.
        weights: safetensors files of pretrained weights.
        device: cpu or cuda.
        command: what the user typed, for the record.
    """

    out: Path
    data: Path | None
    weights: tuple[Path, ...]
    device: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A system that can be run: its study file, whose data stand by themselves, the data, where weights come from."""

    spec: StudySpec
    data: "Prepared"
    weights: Weights


@dataclass(slots=True, kw_only=True)
class System:
    """What came of one system.

    Args:
        spec: its study file.
        found: by kind what `judge` returns.
        errors: by kind why there is nothing.
        notes: what a reader must know before the figures.
        data: format of the images, None before they were read.
        rows: training images.
    """

    spec: StudySpec
    found: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    data: str | None = None
    rows: int = 0


def compare(
    specs: Sequence[StudySpec],
    scale: Scale,
    place: Place,
    *,
    watch: Watch,
    tell: Callable[[str], None],
    done: Callable[[Sequence[System]], None] = lambda _: None,
) -> tuple[list[System], bool]:
    """Run what is missing of a comparison.

    Args:
        specs: the systems' study files.
        scale: of every system.
        place: where.
        watch: opens what a search's events go to, given its log file.
        tell: is told what a user should know.
        done: called after every system with all that there is so far.

    Returns:
        A system each, and whether Ctrl-C ended the run: the same call goes on.

    Raises:
        UsageError: the folder holds a comparison of another scale, or a weights file fits nothing.
        DataError: the images cannot be read, or are not those that the folder's studies were begun with.
    """
    check_scale(place.out, scale)
    check_there(place.weights)
    every = [_ready(spec, scale, place) for spec in specs]
    check_used(place.weights, frozenset().union(*(ready.weights.used for ready in every)))
    keep_scale(place.out, scale)  # now that there is something to keep
    found: list[System] = []
    for ready in every:
        name, data = ready.spec.name, ready.data
        system = System(spec=ready.spec, data=data.format, rows=len(data.part("train").rows), notes=_notes(ready))
        found.append(system)
        for note in (*system.notes, ready.weights.reason):
            if note:
                tell(f"{name}: {note}")
        for kind in KINDS:
            try:
                study = _run(ready, kind, scale, place, watch)
                if study is None:
                    return found, True
                system.found[kind] = judge(study, data, place.command, place.device)
            except FerhpoError as error:
                system.errors[kind] = str(error)
                tell(f"{name}, {kind}: {error}")
        done(found)
    return found, False


def keep_scale(out: Path, scale: Scale) -> None:
    """Write down a comparison's scale; raises as `check_scale`, and UsageError where it cannot be written."""
    check_scale(out, scale)
    try:
        write_json(out / SCALE, asdict(scale))
    except OSError as error:
        msg = f"--out must be a folder that can be written, got {out} ({error.strerror}); name another"
        raise UsageError(msg) from None


def check_scale(out: Path, scale: Scale) -> None:
    """Make sure that a comparison's scale is the one it was begun with.

    Raises:
        UsageError: it is another, or cannot be read.
    """
    try:
        known = json.loads((out / SCALE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        known = None
    if known != asdict(scale):
        msg = f"a comparison keeps its scale, {out} was begun with {_told(known)}, got {scale}; name another --out"
        raise UsageError(msg)


def _told(known: object) -> str:
    """Return the scale that was found in words."""
    try:
        return str(Scale(**known)) if isinstance(known, dict) else "one that cannot be read"
    except (TypeError, UsageError):
        return "one that cannot be read"


def _ready(spec: StudySpec, scale: Scale, place: Place) -> Ready:
    """Prepare a system's images, and find the weights of its pretrained nets."""
    data = systems.resized(spec.data, scale.image_size)
    if place.data is None and data.path is None and data.format == "auto":
        data = replace(data, format="synthetic")
    asked, path = located(replace(spec, data=data), given=place.data)
    asked = replace(asked, path=None if path is None else str(absolute(path)))
    spec = replace(spec, data=asked)
    found = open_data(spec, _layout.cache(place.out), given=path)
    _check_same(spec, found, place.out)
    return Ready(spec=spec, data=found, weights=_weights(spec, found, place))


def _weights(spec: StudySpec, data: "Prepared", place: Place) -> Weights:
    name = f"{spec.name}-{KINDS[0]}"
    if recorded_data(place.out, name) is not None:
        return kept(spec, Study.open(place.out, name).spec, place.weights)
    return find(spec, place.weights, classes=len(data.classes), channels=data.images.shape[-1])


def _check_same(spec: StudySpec, data: "Prepared", out: Path) -> None:
    for kind in KINDS:
        record = recorded_data(out, f"{spec.name}-{kind}")
        if record is not None and record["fingerprint"] != data.fingerprint:
            begun = record["path"] or "rendered faces"
            msg = f"a comparison keeps its data, {out} was begun with {begun}; give that data, or name another --out"
            raise DataError(msg)


def _notes(ready: Ready) -> list[str]:
    notes, there, here = [ready.weights.note], ready.spec.reported.data, ready.data.format
    if there not in {"", here}:
        notes.append(f"reported on {there}, run on {here}: the figures cannot be set against each other")
    return [note for note in notes if note]


def _run(ready: Ready, kind: str, scale: Scale, place: Place, watch: Watch) -> Study | None:
    """Run a study of the comparison to its end, or what is left of it; None if it was interrupted."""
    name = f"{ready.spec.name}-{kind}"
    own, workers = _study_spec(ready, kind, name, scale, place), _workers(kind, place.device)
    with watch(place.out / name / _layout.SEARCH_LOG) as emit:
        outcome = search(own, ready.data, place.out, emit=emit, limits=limits_of(own), workers=workers)
    if outcome.interrupted:
        return None
    if outcome.study.best() is None:
        told = [t.attrs.get("error") or t.attrs.get("broken") for t in outcome.study.trials()]
        reasons = [reason for reason in told if reason]
        msg = f"study '{name}' needs a trial that works, and none did: {reasons[-1] if reasons else 'it had none'}"
        raise SearchError(msg)
    return outcome.study


def _study_spec(ready: Ready, kind: str, name: str, scale: Scale, place: Place) -> StudySpec:
    """Return the study as it was begun, so that it goes on as it was measured then; else a new one.

    A study that is over and none of whose trials worked holds nothing: it is begun anew.
    """
    if recorded_data(place.out, name) is not None:
        begun = Study.open(place.out, name)
        over = sum(trial.counts for trial in begun.trials()) >= begun.spec.budget.trials
        worked = any(trial.state in {"COMPLETE", "PRUNED"} for trial in begun.trials())  # whatever it breaks
        if begun.running or not over or worked:
            return begun.spec
        shutil.rmtree(begun.folder)
    changes = {**({} if scale.image_size is None else {"image_size": scale.image_size}), **ready.weights.changes}
    if kind == "reproduced":
        return systems.reproduced(ready.spec, scale.minutes, changes=changes)
    at_a_time = 2 if place.device == "cpu" and _cpus() > 1 else 1
    spent = systems.plan(
        ready.spec, ready.data, scale.minutes, changes=changes, device=place.device, at_a_time=at_a_time
    )
    return systems.searched(ready.spec, scale.minutes, spent, changes=changes)


def _workers(kind: str, device: str) -> Workers:
    """Return where trials run: the one as described on the whole machine, two of a search on half of it each."""
    if device != "cpu":
        return Workers(gpus=1, concurrency=1)
    halves = 2 if kind == "searched" and _cpus() > 1 else 1
    return Workers(cpus=_cpus() // halves, gpus=0, concurrency=halves)


def _cpus() -> int:
    return len(os.sched_getaffinity(0))
