"""`ferhpo.search` and `ferhpo.load_spec`: what the command does, from Python."""

from collections.abc import Callable
from pathlib import Path

from ferhpo import _layout
from ferhpo.data.arrays import Images, keep
from ferhpo.errors import UsageError
from ferhpo.search import objective as objectives
from ferhpo.search.budget import limits_of
from ferhpo.search.confirm import confirm_of
from ferhpo.search.events import Event
from ferhpo.search.job import train_trial
from ferhpo.search.machine.workers import Workers
from ferhpo.search.objective import Objective
from ferhpo.search.prior import of_study
from ferhpo.search.runner import Outcome
from ferhpo.search.runner import search as run
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.space.tries import read_tries
from ferhpo.study.find import ROOT, find_spec
from ferhpo.study.source import open_data, recorded_data


def load_spec(
    study: str | Path, *, root: Path | str = ROOT, text: str | None = None, storage: str | None = None
) -> StudySpec:
    """Read a study file.

    Args:
        study: name or TOML file of a study, as the command's ``--study``.
        root: the folder of studies.
        text: what would stand in the file, in place of one; ``study`` is then the study's name.
        storage: URL of the database of a study that is found there alone, as the command's ``--storage``.

    Raises:
        UsageError: there is no such file.
        SpecError: it breaks a rule; the message has file and line.
    """
    if text is not None:
        return parse_spec(text, name=str(study), base=Path.cwd())
    return find_spec(str(study), Path(root), storage)


def search(
    study: StudySpec | str | Path,
    *,
    data: Images | Path | str | None = None,
    objective: Objective | None = None,
    root: Path | str = ROOT,
    storage: str | None = None,
    enqueue: Path | str | None = None,
    from_study: str | None = None,
    emit: Callable[[Event], None] | None = None,
    trials: int | None = None,
    timeout: str | float | None = None,
    max_failures: int | None = None,
    epochs_total: int | None = None,
    device_seconds: float | None = None,
    stop_when_flat: float | None = None,
    confirm: int | None = None,
    seeds: int | None = None,
    cpus_per_trial: int | None = None,
    gpus_per_trial: float | None = None,
    concurrency: int | None = None,
    address: str | None = None,
) -> Outcome:
    """Search a study; the same call goes on where an earlier one, or the command, ended.

    Every keyword that is an option of ``ferhpo search`` means what it means there (``docs/cli.md``).

    Args:
        study: what `load_spec` returned or takes.
        data: images in memory, or the path of a file or folder; None takes the study's own.
        objective: a function of config and epoch that returns the study's metric after that epoch, or a generator
            function of the config that yields one value an epoch; None trains nets. It needs no images.
        root: the folder of studies.
        storage: URL of an Optuna database.
        enqueue: a TOML file of ``[[try]]`` tables, which run first.
        from_study: the study whose trials are prior knowledge.
        emit: called with every event of `ferhpo.search.events`, in this process.
        trials: the study's total, earlier runs included.
        timeout: wall time of this run, like "30m", or in seconds.
        max_failures: failed trials in a row before giving up.
        epochs_total: epochs of all trials together.
        device_seconds: of training, summed over all trials.
        stop_when_flat: end once the trials left are expected to improve the metric by less.
        confirm: once the search is over, train so many of the best configurations again; 0 trials then only do that.
        seeds: with so many seeds each, 3 if None; `Study.confirmed` tells what came of it.
        cpus_per_trial: CPUs of one trial.
        gpus_per_trial: GPUs of one trial, fractions allowed.
        concurrency: trials at a time.
        address: of a Ray cluster.

    Returns:
        How the search ended; ``study`` of it reads the results.

    Raises:
        FerhpoError: what the command would say in one line: before any trial starts, or as a SearchError where the
            database, the disk or Ray gave way.
    """
    root = Path(root)
    spec = study if isinstance(study, StudySpec) else load_spec(study, root=root, storage=storage)
    again = confirm_of(confirm, seeds)
    limits = limits_of(
        spec,
        none_too=again is not None,
        trials=trials,
        timeout=None if timeout is None else str(timeout),
        max_failures=max_failures,
        epochs_total=epochs_total,
        device_seconds=device_seconds,
        stop_when_flat=stop_when_flat,
    )
    tries = read_tries(Path(enqueue), spec.space) if enqueue else ()
    prior = of_study(root, from_study, spec, storage)
    workers = Workers(cpus=cpus_per_trial, gpus=gpus_per_trial, concurrency=concurrency, address=address)
    if objective is None:
        trainer, record = train_trial, recorded_data(root, spec.name, storage)
        path = keep(data, spec.data, _layout.cache(root)) if isinstance(data, Images) else data
        prepared = open_data(spec, _layout.cache(root), given=None if path is None else Path(path), record=record)
    elif data is not None:
        msg = "an objective brings its own data, got data beside it; leave data out, and read it in the objective"
        raise UsageError(msg)
    elif spec.scheduler.name == "pbt":
        msg = "pbt copies what a training has learned, which it cannot for an objective; name another scheduler"
        raise UsageError(msg)
    else:
        trainer, prepared = objectives.trainer(objective), objectives.no_images(_layout.cache(root))
    return run(
        spec,
        prepared,
        root,
        emit=emit or (lambda _: None),
        limits=limits,
        storage=storage,
        workers=workers,
        trainer=trainer,
        tries=tries,
        prior=prior,
        confirm=again,
    )
