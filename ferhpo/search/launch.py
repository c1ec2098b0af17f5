"""Runs a session under Ray Tune and ends it cleanly whatever happens."""

import shutil
import signal
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from ferhpo import _layout
from ferhpo._versions import versions
from ferhpo.metrics import COST_METRICS
from ferhpo.search.events import SearchBegan
from ferhpo.search.failure import cut_off
from ferhpo.search.job import Job, Trainer, train_trial
from ferhpo.search.machine import cluster, packing
from ferhpo.search.machine.workers import Split, Workers, with_usable_gpus
from ferhpo.search.under_way import UnderWay

if TYPE_CHECKING:
    from ferhpo.data.cache import Prepared


def run(session: UnderWay, data: "Prepared", workers: Workers, trainer: Trainer) -> bool:
    """Run a session until it is over; return whether it was interrupted, by Ctrl-C or SIGTERM.

    Args:
        session: what to run; nothing of it runs yet.
        data: prepared images.
        workers: where trials run.
        trainer: trains a configuration.

    Raises:
        UsageError: not one trial fits the machine, or there is no cluster.
        SearchError: a worker could not write to its disk.
    """
    spec, folder = session.writer.spec, session.writer.folder
    logs = folder / _layout.LOGS
    with cluster.started(logs, address=workers.address) as nodes:
        split = _split(session, data, workers, trainer, nodes)
        best = session.writer.reader.best()
        session.emit(
            SearchBegan(
                study=spec.name,
                metric=spec.metric,
                trials=max(session.limits.trials, session.writer.count()),
                done=session.writer.count(),
                concurrency=split.trials,
                seconds=session.limits.seconds,
                best=None if best is None or best.value is None else (best.number, best.value),
                ensemble=session.ensemble,
            )
        )
        job = Job(
            study=folder.resolve(),
            data=data.folder.resolve(),
            metric=spec.metric,
            threads=split.cpus,
            device="cuda" if split.gpus else "cpu",
            provenance={
                "study": spec.name,
                "fingerprint": data.fingerprint,
                "split": data.split_digest,
                "versions": versions(),
            },
            seconds=spec.budget.trial_seconds,
            wanted=spec.quantities,
            costs=spec.quantities & COST_METRICS.keys() if trainer is train_trial else frozenset(),
        )
        with _interruptible(session) as interrupted:
            try:
                _tune(session, job, trainer, split, storage=logs / "ray")
            except KeyboardInterrupt:
                interrupted.append("at once")
            finally:
                with suppress(Exception):  # a database that is gone and was waited for; the next run settles the trials
                    for number in list(session.running):
                        session.hand_back(number, judged=False)
                shutil.rmtree(logs / "ray", ignore_errors=True)
    if session.cut_off is not None:
        raise cut_off(spec.name, session.cut_off)
    return bool(interrupted)


def _split(
    session: UnderWay, data: "Prepared", workers: Workers, trainer: Trainer, nodes: Sequence[Mapping[str, float]]
) -> Split:
    """Return how the machine is divided: only a real training can be measured."""
    if trainer is not train_trial:
        return workers.fit(*nodes)
    if not workers.address:
        nodes = with_usable_gpus(nodes, workers, session.emit)
    spec, limits = session.writer.spec, session.limits
    trials = session.left
    return packing.choose(
        workers,
        nodes,
        config=spec.space.default_config(),
        data=data,
        trials=trials,
        epochs=min(trials * spec.budget.epochs, limits.epochs or inf),
        seconds=min(limits.seconds or inf, limits.device_seconds or inf),
        emit=session.emit,
    )


def _tune(session: UnderWay, job: Job, trainer: Trainer, split: Split, *, storage: Path) -> None:
    from ray import tune

    from ferhpo.search.searcher import Silent, StudyScheduler, StudySearcher
    from ferhpo.search.trainable import TrialActor

    tune.run(
        tune.with_parameters(TrialActor, job=job, trainer=trainer),
        name="run",
        search_alg=StudySearcher(session),
        scheduler=StudyScheduler(session),
        num_samples=-1,
        max_concurrent_trials=split.trials,
        resources_per_trial={"cpu": split.cpus, "gpu": split.gpus},
        reuse_actors=True,
        storage_path=str(storage.resolve()),
        verbose=0,
        callbacks=[Silent()],
        raise_on_failed_trial=False,
    )


@contextmanager
def _interruptible(session: UnderWay) -> Generator[list[str]]:
    """Turn the first Ctrl-C or SIGTERM into a clean end after the running epochs, the second into one at once."""
    seen: list[str] = []

    def handle(number: int, _frame: object) -> None:
        seen.append(signal.Signals(number).name)
        if len(seen) > 1:
            raise KeyboardInterrupt
        session.stop(
            "interrupted: running trials end at their next epoch and wait for the next run (once more to end at once)"
        )

    ours = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {s: signal.signal(s, handle) for s in ours}  # which Python allows in the main thread alone
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
