"""Starts and ends Ray: quiet, without telemetry, leaving no process behind.

A killed driver's Ray dies by itself except for agent processes (seen to outlive it by more than a minute); each run
notes its Ray session, so the next one ends exactly those.
"""

import logging
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from ferhpo._atomic import write_bytes
from ferhpo.errors import SearchError, UsageError, first_line

QUIET = {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run`, Ray would wrap each worker in uv
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # else Tune draws a table of its own, whatever its verbosity
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_prestart_worker_first_driver": "0",  # an idle worker a core, which Tune's actors never take: their env differs
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no csv, json and tensorboard files beside the study
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is `launch`'s
    "TUNE_GLOBAL_CHECKPOINT_S": "100000000",  # Ray's experiment state is never used
    "TUNE_WARN_THRESHOLD_S": "60",
}
NOTE = "ray-session"  # in the study's logs/: the Ray session of the last run


@contextmanager
def started(logs: Path, *, address: str | None) -> Generator[Sequence[Mapping[str, float]]]:
    """Run Ray for the length of the context.

    Args:
        logs: the study's folder of logs.
        address: a running cluster's, None starts Ray on this machine, whatever runs there already.

    Yields:
        The resources of every machine that is alive, by name ("CPU", "GPU").

    Raises:
        UsageError: there is no cluster at ``address``, or this process uses Ray already.
        SearchError: Ray does not start.
    """
    os.environ |= {name: os.environ.get(name, value) for name, value in QUIET.items()}
    import ray

    if ray.is_initialized():  # a notebook's, which is not ours to end
        msg = "a search starts and ends Ray by itself, and this process has begun to use it; call ray.shutdown() first"
        raise UsageError(msg)
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # its console noise; what fails reaches us as an exception

    local = {} if address else {"include_dashboard": False, "object_store_memory": 200 * 2**20}
    try:
        with nullcontext() if address else _by_itself(ray):
            context = _init(
                ray.init,
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                configure_logging=False,
                **local,
            )
        if not address:
            write_bytes(logs / NOTE, context.address_info["session_dir"].encode())
        yield [node["Resources"] for node in ray.nodes() if node["Alive"]]
    finally:
        ray.shutdown()
        (logs / NOTE).unlink(missing_ok=True)


@contextmanager
def _by_itself(ray: Any) -> Generator[None]:
    """Let Ray's servers start in process groups of their own and listen at the loopback address.

    Ray keeps Ctrl-C alone from them, and has no setting for more. A SIGTERM to the search's group (``timeout``'s, or a
    shell's ``kill %1``) would end them before the search, which then waits a minute for them and dies by Ray's hand.
    Not where the group is what ends them after a kill of the search (macOS).

    At this machine's own address whoever is on its network could reach them, and a search would end with that address:
    when a laptop joins another network.
    """
    try:
        services, constants = ray._private.services, ray._private.ray_constants  # noqa: SLF001
        before = services.ConsolePopen, constants.ENABLE_RAY_CLUSTER
    except AttributeError:  # a later Ray
        yield
        return
    if sys.platform == "linux":
        services.ConsolePopen = partial(services.ConsolePopen, process_group=0)
    constants.ENABLE_RAY_CLUSTER = False  # as it is on macOS and Windows
    try:
        yield
    finally:
        services.ConsolePopen, constants.ENABLE_RAY_CLUSTER = before


def _init(init: Callable[..., Any], *, address: str, **kwargs: Any) -> Any:
    try:
        return init(address=address, **kwargs)
    except Exception as error:  # noqa: BLE001 - a node slow to start is a bare Exception
        reason = first_line(error)
        if address != "local":
            msg = f"--address must name a running Ray cluster, got '{address}' ({reason}); try `ray status`"
            raise UsageError(msg) from None
        msg = (
            f"a search needs Ray to start on this machine, which it did not ({reason}); see "
            "/tmp/ray/session_latest/logs"
        )
        raise SearchError(msg) from None


def end_leftovers(logs: Path) -> int:
    """End the processes of a Ray that an earlier, killed run of this study started on this machine; return how many."""
    note = logs / NOTE
    if not note.is_file():
        return 0
    session = note.read_text(encoding="utf-8").strip()
    leftovers = [p for p in psutil.process_iter() if session and _belongs(p, session)]
    for process in leftovers:
        process.terminate()
    for process in psutil.wait_procs(leftovers, timeout=5)[1]:
        process.kill()
    note.unlink()
    return len(leftovers)


def _belongs(process: psutil.Process, session: str) -> bool:
    """Tell whether a process is of a Ray session: its agents rename themselves, so their open log files tell."""
    try:
        words = " ".join(process.cmdline())
        return "ray" in words and (
            session in words or any(file.path.startswith(session) for file in process.open_files())
        )
    except psutil.Error:
        return False
