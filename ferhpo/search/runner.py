"""Puts a search together: data, study, recovery, session; `launch` runs it under Ray."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ferhpo import _layout
from ferhpo.data.summary import in_one_line
from ferhpo.errors import UsageError
from ferhpo.models.registry import check
from ferhpo.search.budget import Limits
from ferhpo.search.confirm import Confirm, Confirmation
from ferhpo.search.events import Emit, Note
from ferhpo.search.failure import told
from ferhpo.search.grid import exhausted, within_grid
from ferhpo.search.job import Trainer, train_trial
from ferhpo.search.launch import run
from ferhpo.search.machine import cluster
from ferhpo.search.machine.workers import Workers
from ferhpo.search.prior import Records
from ferhpo.search.recovery import settle
from ferhpo.search.samplers import sampler
from ferhpo.search.scheduler import idle
from ferhpo.search.session import Session
from ferhpo.space.config import TrialConfig
from ferhpo.space.spec import StudySpec
from ferhpo.space.tries import Try
from ferhpo.study.source import data_record, recorded_data
from ferhpo.study.study import Study
from ferhpo.study.writer import StudyWriter

if TYPE_CHECKING:
    from ferhpo.data.cache import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a search ended.

    Args:
        study: for reading.
        done: trials that count.
        trials: the total that was asked for, or the grid's where that has fewer points; never less than ``done``.
        interrupted: Ctrl-C or SIGTERM ended it.
        gave_up: too many failures in a row ended it.
        spent: a limit on the whole study ended it, so that only a larger one lets it go on.
        new: trials that ended in this run.
        flat: what is left is expected to improve less than was asked for, so that only asking for less lets it go on.
        exhausted: no point of the grid is left, so that no larger total lets it go on.
    """

    study: Study
    done: int
    trials: int
    interrupted: bool
    gave_up: bool
    spent: bool
    new: int
    flat: bool = False
    exhausted: bool = False

    @property
    def reached(self) -> bool:
        """Tell whether the study has its total."""
        return self.done == self.trials


def search(
    spec: StudySpec,
    data: "Prepared",
    root: Path,
    *,
    emit: Emit,
    limits: Limits,
    storage: str | None = None,
    workers: Workers | None = None,
    trainer: Trainer = train_trial,
    tries: Sequence[Try] = (),
    prior: Mapping[str, Records] = MappingProxyType({}),
    confirm: Confirm | None = None,
) -> Outcome:
    """Run trials until the study has its total, time is up, or somebody stops it; running it again goes on.

    Args:
        spec: the study.
        data: prepared images; only training and validation rows are used.
        root: the folder of studies.
        emit: called with every event.
        limits: what ends the search.
        storage: URL of the study database, None for the SQLite file in the study's folder.
        workers: where trials run.
        trainer: trains a configuration.
        tries: configurations to run first, besides the study file's own, once however often they are given.
        prior: trials of other studies that the sampler learns from besides, by study, see `prior.records`.
        confirm: what to train again once the search is over, unless it was interrupted or gave up.

    Raises:
        StudyError: the study is being written by another process, or changed in what may not change; or there is
            nothing to confirm.
        UsageError: not one trial fits the machine, or there is no cluster.
        SearchError: the database, the disk or Ray gave way; what is stored is kept, and a search goes on from there.
    """
    check_architectures(spec)
    check_teacher(spec)
    check_choice(spec, limits.trials)
    make_sampler = partial(sampler, spec)
    with (
        told(spec.name),
        StudyWriter(
            spec, root, storage=storage, data=data_record(data), make_sampler=make_sampler, tries=tries, prior=prior
        ) as writer,
    ):
        cluster.end_leftovers(writer.folder / _layout.LOGS)  # before its trials are settled: they may still be at work
        val = data.part("val")
        writer.keep_validation(val.labels, val.groups)
        images = [in_one_line(data)] if data.counts else []  # an objective has none
        for note in (*images, *advice(spec, max(limits.trials, writer.count())), *writer.notes, *settle(writer)):
            emit(Note(text=note))
        limits = within_grid(writer, limits, emit)
        before = writer.count()
        session = Session(writer, limits, emit=emit)
        if before >= limits.trials and (text := left_waiting(writer)):
            emit(Note(text=text))
        interrupted = False if session.over else run(session, data, workers or Workers(), trainer)
        done, spent, flat, no_more = writer.count(), session.spent, session.flat, exhausted(writer)
        if confirm and not interrupted and not session.gave_up:
            session = Confirmation(writer, confirm, limits, emit=emit)
            interrupted = False if session.over else run(session, data, workers or Workers(), trainer)
    return Outcome(
        study=Study.open(root, spec.name, storage),
        done=done,
        trials=max(limits.trials, done),
        new=done - before,
        interrupted=interrupted,
        gave_up=session.gave_up,
        spent=spent,
        flat=flat,
        exhausted=no_more,
    )


def settled_study(spec: StudySpec, record: Mapping[str, Any], root: Path, storage: str | None = None) -> Study:
    """Return a study for a command that writes it but runs no trial: begun if need be, a dead search's trials settled.

    Args:
        spec: the study.
        record: its data, see `data_record`.
        root: the folder of studies.
        storage: URL of the study database, None for the one the study is known to be in.

    Raises:
        Whatever `search` raises; a study that is being searched is returned as it is.
    """
    if recorded_data(root, spec.name, storage) is None or not Study.open(root, spec.name, storage).running:
        make_sampler = partial(sampler, spec)
        with StudyWriter(spec, root, storage=storage, data=record, make_sampler=make_sampler) as writer:
            cluster.end_leftovers(writer.folder / _layout.LOGS)
            settle(writer)
    return Study.open(root, spec.name, storage)


def left_waiting(writer: StudyWriter) -> str:
    """Say which trials wait although the study has its total; nothing if there are none."""
    found = ((len(writer.waiting()), "unfinished"), (writer.queued(), "queued"))
    waiting = " and ".join(f"{n} {kind}" for n, kind in found if n)
    return waiting and f"{waiting} trials wait: the study has its total of {writer.count()}; raise --trials"


def check_choice(spec: StudySpec, trials: int) -> None:
    """Refuse to search a space in which every trial would be the same.

    Raises:
        SpecError: there is nothing to choose, and more than one trial is asked for.
    """
    never = spec.space.unreachable
    if trials > 1 and all(len(d.choices) == 1 or d.name in never for d in spec.space.dimensions):
        msg = (
            f"a search needs something to choose, and [space] leaves nothing, so {trials} trials would be identical; "
            "add a range or a second choice, give --trials 1, or run `ferhpo train`"
        )
        raise spec.error(msg, "space")


def advice(spec: StudySpec, trials: float = inf) -> list[str]:
    """Return what a study file asks for that never comes to pass in so many trials, a sentence each."""
    never = "no combination of the other settings of [space] makes it apply"
    searched = (f"{name} is not searched: {never}" for name in spec.space.unreachable)
    fixed = (f"{name} has no effect: {never}" for name in spec.space.idle)
    stops = idle(spec.scheduler, spec.budget.epochs, trials)
    return [*searched, *fixed, *([stops] if stops else [])]


def check_teacher(spec: StudySpec) -> None:
    """Refuse a study file whose trials would learn from a teacher, which a search does not have.

    Raises:
        SpecError: with file and line.
    """
    if spec.space.fixed.get("distill") or any(d.name == "distill" for d in spec.space.dimensions):
        msg = (
            "a search has no teacher that its trials could learn from, got distill in [space]; leave it out, and run "
            "`ferhpo distill` once there is an ensemble"
        )
        raise spec.error(msg, "space", "distill")


def check_architectures(spec: StudySpec) -> None:
    """Refuse a study file that names an architecture nobody has, before any trial starts.

    Raises:
        SpecError: with file, line and the nearest name.
    """
    searched = [d for d in spec.space.dimensions if d.name == "arch"]
    names = searched[0].choices if searched else [spec.space.fixed.get("arch", TrialConfig().arch)]
    for name in names:
        try:
            check(name)
        except UsageError as error:
            raise spec.error(str(error), "space", "arch") from None
