"""`Study`: what a study holds, read without torch and without Ray.

It writes nothing but what commands beside a search must note, see `amend`.
"""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from ferhpo import _layout
from ferhpo._atomic import is_locked
from ferhpo.errors import StudyError, did_you_mean
from ferhpo.space.aims import check_constraints
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.study import store
from ferhpo.study.amend import record_elsewhere, record_opening
from ferhpo.study.attrs import BASE, CONSTRAINTS, DRIVER, ELSEWHERE, OBJECTIVES, OPENINGS, PRIOR, STANDING
from ferhpo.study.overview import STATES, study_names
from ferhpo.study.ranking import Aims, candidates, front, ranking
from ferhpo.study.repeats import Confirmed, confirmed, is_repeat
from ferhpo.study.trial import Trial, read_trial
from ferhpo.study.validation import read_validation
from ferhpo.study.view import searched

RUN_LOCK = "run.lock"
BEGUN = {"spec", "data", "metric"}  # what every study of ferhpo's holds from its first second


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study that exists, open for reading.

    Args:
        name: Optuna's study name as well.
        folder: where its files lie.
        url: of the database; may hold a password, so never show it: show `shown_url`.
        optuna_study: the handle; what it reads is as of now, each time.
    """

    name: str
    folder: Path
    url: str = field(repr=False)
    optuna_study: optuna.Study

    @classmethod
    def open(cls, root: Path | str, name: str, storage: str | None = None) -> Self:
        """Open a study for reading.

        Args:
            root: the folder of studies.
            name: the study's name.
            storage: URL of its database, if it is not in its folder and not the one remembered there.

        Raises:
            StudyError: there is no such study, with the nearest name.
        """
        root = Path(root)
        folder = _layout.study_folder(root, name)
        url = store.absolute(storage or store.remembered_url(folder))
        if store.is_sqlite(url) and not store.sqlite_file(url).is_file():
            names = study_names(root)
            if name in names:
                msg = f"study '{name}' must have its database, got none at {store.sqlite_file(url)}; correct --storage"
                raise StudyError(msg)
            hint = did_you_mean(name, names) if names else "; there is none here yet, `ferhpo search` begins one"
            msg = f"a study must exist in {root}, got '{name}'{hint}"
            raise StudyError(msg)
        handle = store.load(store.open_for_reading(url), name, store.without_password(url))
        if not handle.user_attrs.keys() >= BEGUN:
            msg = (
                f"study '{name}' was not begun by `ferhpo search`, or that was killed at once; run `ferhpo search "
                f"--study {name}`"
            )
            raise StudyError(msg)
        return cls(name=name, folder=folder, url=url, optuna_study=handle)

    @property
    def shown_url(self) -> str:
        """The database's URL without its password."""
        return store.without_password(self.url)

    @property
    def attrs(self) -> Mapping[str, Any]:
        """What the study itself holds: spec, data, ferhpo, openings; not to be changed."""
        study = self.optuna_study  # its own `user_attrs` is a copy a call, of thousands of prior trials too
        return study._storage.get_study_user_attrs(study._study_id)  # noqa: SLF001

    @property
    def spec(self) -> StudySpec:
        """The study file as it was when the study last ran."""
        path, base = f"study file kept in study '{self.name}'", self.attrs.get(BASE)
        return parse_spec(self.attrs["spec"], name=self.name, path=path, base=None if base is None else Path(base))

    @property
    def metric(self) -> str:
        """Name of the figure that is searched for; of several objectives the one that trials are ranked by."""
        return self.attrs["metric"]

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of everything that is searched for, in the order of `directions`."""
        return tuple(self.attrs.get(OBJECTIVES) or [self.metric])

    @property
    def maximize(self) -> bool:
        """Tell whether more of the metric is better."""
        return self.aims.maximize

    @property
    def aims(self) -> Aims:
        """What is searched for, as `ranking` takes it."""
        return Aims(objectives=self.objectives, directions=self.directions, metric=self.metric)

    @property
    def directions(self) -> list[str]:
        """``"maximize"`` or ``"minimize"`` per objective."""
        return [d.name.lower() for d in self.optuna_study.directions]

    @property
    def data(self) -> Mapping[str, Any]:
        """The data the study was begun with: path, format, fingerprint, cache, classes."""
        return self.attrs["data"]

    @property
    def openings(self) -> list[dict[str, str]]:
        """Every opening of the sealed test split: date, version, command."""
        return list(self.attrs.get(OPENINGS, []))

    @property
    def standing(self) -> Mapping[str, list[Any]]:
        """The running ensemble beside the best single trial, as searches left it.

        ``points``: trials, ensemble, single (see `search.events.EnsembleScored`); ``members``: trial numbers.
        """
        return self.attrs.get(STANDING) or {"points": [], "members": []}

    @property
    def prior(self) -> Mapping[str, list[dict[str, Any]]]:
        """Trials of other studies that the sampler learns from, by study; none of them is a trial of this one."""
        return self.attrs.get(PRIOR) or {}

    @property
    def running(self) -> bool:
        """Tell whether a search of this study runs on this machine now."""
        return is_locked(self.folder / RUN_LOCK)

    @property
    def searched(self) -> optuna.Study:
        """The handle without repeats and copies."""
        return searched(self.optuna_study)

    def trials(self) -> list[Trial]:
        """Return all trials of the search by number."""
        return [t for t in self.every() if not t.repeats]

    def repeats(self) -> list[Trial]:
        """Return the trials that train another one's configuration again, by number, see `repeats`."""
        return [t for t in self.every() if t.repeats]

    def every(self) -> list[Trial]:
        """Return the trials of the search and the repeats by number."""
        orphaned, names, metric = not self._driven(), self.objectives, self.metric
        constraints = check_constraints(self.attrs.get(CONSTRAINTS, ()))
        on_disk = set(_layout.trials_on_disk(self.folder))  # one look at the disk, where thousands of trials left none
        return [
            read_trial(
                t,
                self.folder if t.number in on_disk else None,
                names,
                metric,
                orphaned=orphaned,
                constraints=constraints,
            )
            for t in self._frozen()
        ]

    def confirmed(self) -> list[Confirmed]:
        """Return the configurations that were trained again and what came of it, best mean first."""
        return confirmed(self.every(), maximize=self.maximize)

    def states(self) -> dict[str, int]:
        """Count trials of the search by the database's state, every state of STATES named."""
        found = [t.state.name for t in self._frozen() if not is_repeat(t)]
        return {state: found.count(state) for state in STATES}

    def best(self, found: Sequence[Trial] | None = None) -> Trial | None:
        """Return the best COMPLETE trial, else the best PRUNED one, None if neither is there.

        Only trials that keep the constraints count, PRUNED ones as they are. With several objectives it is the one of
        the front that is best by the metric.

        Args:
            found: the study's trials where they were read already.
        """
        return next(iter(self.ranking(found)), None)

    def ranking(self, found: Sequence[Trial] | None = None) -> list[Trial]:
        """Return the trials that keep the constraints, best first: the front, other COMPLETE ones, PRUNED ones.

        Args:
            found: the study's trials where they were read already.
        """
        return ranking(self.trials() if found is None else found, self.aims)

    def front(self, found: Sequence[Trial] | None = None) -> list[Trial]:
        """Return the COMPLETE trials that keep the constraints and that no other one dominates.

        Args:
            found: the study's trials where they were read already.

        Returns:
            The Pareto front, best by the metric first; with one objective the best trial first, and its equals.
        """
        return front(self.trials() if found is None else found, self.aims)

    def candidates(self, found: Sequence[Trial] | None = None) -> list[Trial]:
        """Return COMPLETE and PRUNED trials that keep the constraints and whose checkpoint is kept, best first.

        Among equals by the metric those on the front come first, as in `ranking`.

        Args:
            found: the study's trials and repeats where they were read already.
        """
        return candidates(self.every() if found is None else found, self.aims)

    def record_opening(self, command: str, version: str) -> int:
        """Write down that the sealed test split is opened, before it is; return how many times it now was."""
        return record_opening(self.folder, self.url, command, version)

    @property
    def elsewhere(self) -> list[dict[str, Any]]:
        """Every evaluation on other data: date, version, command, source, format, fingerprint, and what was found."""
        return list(self.attrs.get(ELSEWHERE, []))

    def record_elsewhere(self, entry: Mapping[str, Any], place: int | None = None) -> int:
        """Write down an evaluation on other data, before it is made (without figures) or, at its place, afterwards."""
        return record_elsewhere(self.folder, self.url, entry, place)

    def validation(self) -> tuple[np.ndarray, np.ndarray]:
        """Return label and duplicate group of each validation row, both int64.

        Raises:
            CheckpointError: the file is damaged or missing.
        """
        return read_validation(self.folder)

    def _frozen(self) -> list[FrozenTrial]:
        return self.optuna_study.get_trials(deepcopy=False)

    def _driven(self) -> bool:
        driver = self.attrs.get(DRIVER) or {}
        return self.running or driver.get("host", socket.gethostname()) != socket.gethostname()
