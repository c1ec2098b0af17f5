"""`StudyWriter`: the one process that may write a study, from its first trial to its last.

Holds the run lock of the study's folder, which the kernel drops when the process dies; so a RUNNING trial under a
free lock is a trial that nobody runs. States are told as they are: stopped by the scheduler PRUNED, finished
COMPLETE, crashed or non-finite FAIL with its reason, interrupted from outside handed back (WAITING, same number).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from ferhpo import _atomic, _layout
from ferhpo.errors import StudyError
from ferhpo.space.aims import broken, excesses
from ferhpo.space.config import TrialConfig
from ferhpo.space.spec import StudySpec
from ferhpo.space.tries import Try
from ferhpo.study import store
from ferhpo.study.attrs import BROKEN, COPIED_AT, EXCESSES, REPEATS, REQUEUED_FROM, SEED, STANDING, TRY, VERDICT, VOID
from ferhpo.study.choices import keeping
from ferhpo.study.copies import copy_of, is_copy
from ferhpo.study.opening import Prior, check_place, describe, opened
from ferhpo.study.overview import STORAGE_FILE
from ferhpo.study.quantities import known
from ferhpo.study.queue import fits, refresh
from ferhpo.study.repeats import is_repeat, queue_repeats
from ferhpo.study.study import RUN_LOCK, Study
from ferhpo.study.trial import counts
from ferhpo.study.validation import write_validation
from ferhpo.study.view import Searched


class StudyWriter:
    """A study open for writing. Use it as a context manager; one at a time for a folder.

    Args:
        spec: the study file.
        root: the folder of studies.
        storage: URL of the database, the folder's own SQLite file if None.
        data: what is written down of the data: path, format, fingerprint, cache, classes.
        make_sampler: returns what decides what to try next, given how far the study is (trials, and the parameters
            that they have) and `Study.prior`.
        tries: configurations to run besides the study file's `[[try]]` tables.
        prior: trials of other studies to learn from, by study, see `search.prior`; kept in place of what was.

    Raises:
        StudyError: another process writes the study, or the study file changed in what may not change.
        DataError: the study was begun with other data.
    """

    def __init__(
        self,
        spec: StudySpec,
        root: Path,
        *,
        storage: str | None,
        data: Mapping[str, Any],
        make_sampler: Callable[[int, Prior], optuna.samplers.BaseSampler],
        tries: Sequence[Try] = (),
        prior: Prior = MappingProxyType({}),
    ) -> None:
        self.spec = spec
        self.folder = _layout.study_folder(root, spec.name)
        self._data = dict(data)
        self._storage_url = storage
        self._make_sampler = make_sampler
        self._tries = (*spec.tries, *tries)
        self._prior = dict(prior)
        self._stack = ExitStack()
        self._ids: dict[int, int] = {}  # trial number -> Optuna's key of it
        self._history: dict[int, list[dict[str, Any]]] = {}  # of running trials

    def __enter__(self) -> Self:
        """Take the lock, open or begin the study, check that it is the same one."""
        self._make_sampler(0, {})  # what it refuses, it refuses before anything is begun
        with ExitStack() as stack:
            url = store.absolute(self._storage_url or store.remembered_url(self.folder))
            check_place(self.folder, self.spec.name, url)
            try:
                stack.enter_context(_atomic.locked(self.folder / RUN_LOCK, wait=False))
                self._rdb = store.open_for_writing(url)
                stack.callback(self._rdb.engine.dispose)
                self._check_lock = stack.enter_context(store.one_writer(self._rdb, self.spec.name))
            except BlockingIOError:
                msg = f"a study takes one search at a time, and '{self.spec.name}' has one now; wait for it or stop it"
                raise StudyError(msg) from None
            self._open(url)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Drop the lock and the connections."""
        self._stack.close()

    def _open(self, url: str) -> None:
        found = opened(self._rdb, self.spec, self._data, store.without_password(url))
        self._study, self._grown, self.notes = found.study, found.grown, found.notes
        if self._storage_url:
            _atomic.write_bytes(self.folder / STORAGE_FILE, store.without_password(url).encode())
        describe(self._study, self.spec, self._data, self._prior)
        self.reader = Study(name=self.spec.name, folder=self.folder, url=url, optuna_study=self._study)
        every = self._study.get_trials(deepcopy=False)  # before any is queued: how many there are seeds the sampler
        self._refresh()
        own = [t for t in every if not is_repeat(t)]
        n = len(own) + sum(len(t.params) for t in own)  # a run that was killed while it chose settings has drawn, too
        made = keeping(self._make_sampler(n, self.reader.prior), self.spec.space, self._grown, n)
        alone = self.spec.scheduler.name != "pbt" and not any(is_repeat(t) or is_copy(t) for t in every)
        self._study.sampler = made if alone else Searched(made)

    def _refresh(self) -> None:
        refresh(self._study, self.spec.space, self._tries, self._outdate)

    def _outdate(self, number: int) -> None:
        self.finish(number, "FAIL", None, {VOID: True, "error": "queued before the study file changed"})

    def keep_validation(self, labels_n: np.ndarray, groups_n: np.ndarray) -> None:
        """Write labels and duplicate groups of the validation rows beside the trials."""
        write_validation(self.folder, labels_n, groups_n)

    def keep_standing(self, standing: Mapping[str, Any]) -> None:
        """Write down the running ensemble, see `Study.standing`."""
        self._study.set_user_attr(STANDING, dict(standing))

    def count(self) -> int:
        """Count the trials that count towards ``--trials``."""
        return sum(counts(t.user_attrs, ended=t.state.is_finished()) for t in self._study.get_trials(deepcopy=False))

    def waiting(self) -> dict[int, int]:
        """Return the trials of the search that wait to go on, by number, with the epochs behind each."""
        return {t.number: max(t.intermediate_values) for t in self._waiting() if t.intermediate_values}

    def queued(self) -> int:
        """Count the trials of the search that wait to begin."""
        return sum(not t.intermediate_values for t in self._waiting())

    def upcoming(self) -> int:
        """Return the number of the trial that `ask` begins next: of one that was queued, else of a new one."""
        return min((t.number for t in self._waiting() if not t.intermediate_values), default=self.following())

    def following(self) -> int:
        """Return the number that the next new trial will have."""
        return len(self._study.get_trials(deepcopy=False))

    def marks(self, number: int) -> Mapping[str, Any]:
        """Return what is stored with a trial besides its parameters and values."""
        return self._rdb.get_trial(self._id(number)).user_attrs

    def queue_repeats(self, sources: Sequence[int], seeds: Sequence[int]) -> None:
        """Queue a repeat of each trial with each seed, unless there is one that ended well or may.

        Args:
            sources: numbers of ended trials.
            seeds: of the trainings.
        """
        queue_repeats(self._study, sources, seeds, self.spec.budget.epochs)

    def config(self, number: int) -> TrialConfig:
        """Return the whole configuration of a trial that has begun."""
        return TrialConfig.from_params(self._rdb.get_trial(self._id(number)).user_attrs["config"])

    def copy(
        self, source: int, epoch: int, params: Mapping[str, Any], finish: Callable[[TrialConfig, int], TrialConfig]
    ) -> tuple[int, TrialConfig]:
        """Queue a trial that goes on from another one's epoch with some parameters changed, see `copies`.

        Args:
            source: number of the other one.
            epoch: epochs behind it.
            params: the changed parameters.
            finish: as of `ask`.

        Returns:
            Number and configuration.
        """
        number = self.following()
        frozen = self._rdb.get_trial(self._id(source))
        config = finish(TrialConfig.from_params(frozen.user_attrs["config"]).with_params(params), number)
        drawn_from = {
            d.name: CategoricalDistribution(self._grown.get(d.name, d.choices)) if d.choices else d.distribution()
            for d in self.spec.space.dimensions
            if d.name in params
        }
        self._study.add_trial(copy_of(frozen, epoch, params, drawn_from, config.params()))
        return number, config

    def waiting_repeats(self, sources: Sequence[int], seeds: Sequence[int]) -> dict[int, int]:
        """Return the repeats of some trials with some seeds that wait, by number, with the epochs behind each."""
        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        found = [t for t in waiting if t.user_attrs.get(REPEATS) in sources and t.user_attrs[SEED] in seeds]
        return {t.number: max(t.intermediate_values, default=0) for t in found}

    def begin_repeat(self, number: int) -> tuple[TrialConfig, dict[str, Any], int]:
        """Start a repeat that waits; return its configuration, its parameters, and the number of what it repeats."""
        self._check_lock()
        trial = self._gone_on(number)
        return TrialConfig.from_params(trial.user_attrs["config"]), trial.params, trial.user_attrs[REPEATS]

    def ask(
        self, finish: Callable[[TrialConfig, int], TrialConfig], number: int | None = None
    ) -> tuple[int, TrialConfig, dict[str, Any]]:
        """Start a trial: one that waits, else one that was queued, else a new one.

        Args:
            finish: puts into the sampled configuration what the study gives (epochs, seed), by trial number.
            number: of a trial in `waiting`, None for one that has no epoch behind it.

        Returns:
            Number, configuration, and the sampled parameters.
        """
        self._check_lock()
        if number is None:
            number = min((t.number for t in self._waiting() if not t.intermediate_values), default=None)
        if number is not None and "config" in self.marks(number):
            known = self._gone_on(number)
            return number, TrialConfig.from_params(known.user_attrs["config"]), known.params
        trial = self._started(number)
        config = finish(self.spec.space.sample(trial, self._grown), trial.number)
        trial.set_user_attr("config", config.params())
        self._history[trial.number] = []
        return trial.number, config, trial.params

    def _gone_on(self, number: int) -> optuna.trial.FrozenTrial:
        """Let a trial that waits go on; no sampler is asked, as it has its settings."""
        trial = self._rdb.get_trial(self._set_running(number))
        self._history[number] = list(trial.user_attrs.get("history", []))
        return trial

    def _started(self, number: int | None) -> optuna.Trial:
        """Do what `Study.ask` does, which would take any trial that waits, a paused one too."""
        study = self._study
        study._thread_local.cached_all_trials = None  # noqa: SLF001 - samplers read the study afresh
        new = number is None
        trial_id = study._storage.create_new_trial(study._study_id) if new else self._set_running(number)  # noqa: SLF001
        return optuna.Trial(study, trial_id)

    def _set_running(self, number: int) -> int:
        """Let a trial that waits run, without the end that a search was writing when it was killed; return its key."""
        trial_id = self._id(number)
        store.forget(self._rdb, trial_id, VERDICT)
        self._rdb.set_trial_state_values(trial_id, TrialState.RUNNING)
        return trial_id

    def _waiting(self) -> list[optuna.trial.FrozenTrial]:
        found = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return [t for t in found if not is_repeat(t)]

    def mark(self, number: int, marks: Mapping[str, Any]) -> None:
        """Store with a running trial what its scheduler must know of it after a restart."""
        for key, content in marks.items():
            self._rdb.set_trial_user_attr(self._id(number), key, content)

    def values(self, number: int) -> dict[int, float]:
        """Return a trial's value by epoch, as stored."""
        return self._rdb.get_trial(self._id(number)).intermediate_values

    def report(self, number: int, epoch: int, value: float, record: Mapping[str, Any]) -> None:
        """Write the value after an epoch, and add ``record`` (figures, seconds ...) to the trial's history.

        An epoch that is already there keeps its value: a trial that goes on repeats none, to the bit.
        """
        self._check_lock()
        if number not in self._history:
            self._history[number] = self._stored_history(number)
        history = self._history[number]
        if all(row["epoch"] != epoch for row in history):
            history.append(dict(record))
            store.write_trial(self._rdb, self._id(number), {"history": history}, (epoch, value))

    def finish(self, number: int, state: str, value: float | None, attrs: Mapping[str, Any]) -> None:
        """End a trial, a waiting one too, as COMPLETE, PRUNED (its value is the last one reported) or FAIL.

        Its other objectives, and what it breaks of the constraints, come from the costs and figures among ``attrs``.
        """
        self._check_lock()
        if self._rdb.get_trial(self._id(number)).state == TrialState.WAITING:  # only a running trial can be told
            self._set_running(number)
        history = self._history.pop(number, None) or self._stored_history(number)
        attrs = {**attrs, "seconds": sum(row["seconds"] for row in history)}
        found = known(attrs) | ({} if value is None else {self.spec.metric: value})
        if state != "FAIL" and self.spec.constraints:
            told = excesses(self.spec.constraints, found, whole=state == "COMPLETE")  # what samplers learn from
            self._rdb.set_trial_system_attr(self._id(number), EXCESSES, told)
            attrs |= {BROKEN: reason} if (reason := broken(self.spec.constraints, found, whole=True)) else {}
        store.write_trial(self._rdb, self._id(number), attrs)
        values = [found[name] for name in self.spec.objectives] if state == "COMPLETE" else None
        self._study.tell(number, values, state=TrialState[state])

    def hand_back(self, number: int, marks: Mapping[str, Any] = MappingProxyType({})) -> bool:
        """Put a running trial back: it goes on later under its own number, values kept; tell whether it was running.

        Args:
            number: the trial's.
            marks: stored with it if it was running, and before: a kill in between loses none of them.
        """
        self._check_lock()  # a search that has lost it must not take from another one what that one runs
        running = self._rdb.get_trial(self._id(number)).state == TrialState.RUNNING
        if running:
            self.mark(number, marks)
            self._rdb.set_trial_state_values(self._id(number), TrialState.WAITING)
        self._history.pop(number, None)
        return running

    def requeue(self, number: int, reason: str) -> str:
        """End a trial that cannot go on as FAIL, which does not count, and queue its parameters once more.

        Not those of a repeat, which `queue_repeats` queues again, nor of a copy before its first epoch: they were meant
        for a net under way; nor what the study file rules out by now.

        Returns:
            What becomes of it, in words.
        """
        frozen = self._rdb.get_trial(self._id(number))
        others = self._study.get_trials(deepcopy=False)
        there = any(t.user_attrs.get(REQUEUED_FROM) == number for t in others)  # by a run that was killed then
        unbegun = is_copy(frozen) and max(frozen.intermediate_values) == frozen.user_attrs[COPIED_AT]
        again = not (there or unbegun or is_repeat(frozen))
        outdated = again and not fits(frozen, self.spec.space)
        if again and not outdated:
            kept = {TRY: frozen.user_attrs[TRY]} if TRY in frozen.user_attrs else {}
            self._study.enqueue_trial(dict(frozen.params), user_attrs={REQUEUED_FROM: number, **kept})
        self.finish(number, "FAIL", None, {VOID: True, "error": reason})
        if outdated:
            self._refresh()  # it may have been the defaults, or a try, which the study file has otherwise
            return "the study file rules its parameters out"
        if is_repeat(frozen):
            return "--confirm trains it again"
        return "another copy is made in its place" if unbegun else "its parameters are queued once more"

    def unsettled(self) -> list[tuple[int, Mapping[int, float]]]:
        """Return number and values of the trials that an earlier run began and did not end.

        One that waits may have been handed back while its worker was still at work.
        """
        trials = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING))
        return [
            (t.number, t.intermediate_values)
            for t in trials
            if t.state == TrialState.RUNNING or t.intermediate_values or ("config" in t.user_attrs and not is_repeat(t))
        ]

    def _stored_history(self, number: int) -> list[dict[str, Any]]:
        return list(self._rdb.get_trial(self._id(number)).user_attrs.get("history", []))

    def _id(self, number: int) -> int:
        if number not in self._ids:
            study_id = self._rdb.get_study_id_from_name(self.spec.name)
            self._ids[number] = self._rdb.get_trial_id_from_study_id_trial_number(study_id, number)
        return self._ids[number]
