import errno
from collections.abc import Callable
from pathlib import Path

import fakes
import pytest
from conftest import open_writer, run_session
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from ferhpo.errors import SearchError, StudyError
from ferhpo.search.budget import Limits
from ferhpo.search.events import Event, TrialEnded
from ferhpo.search.failure import told
from ferhpo.search.session import Session

GOES_ON = "mend that, and the same command goes on from what is stored"


class TuneError(Exception):
    """Stands in for Ray's, which it raises in place of what happened."""

    __module__ = "ray.tune.error"


def gone() -> OperationalError:
    return OperationalError("SELECT 1", {}, Exception("server closed the connection\nunexpectedly"))


def by_optuna() -> None:
    try:
        raise gone()
    except OperationalError as error:
        text = "An exception is raised during the commit."
        raise StorageInternalError(text) from error


def plainly(error: Exception) -> None:
    raise error


def by_ray(error: Exception) -> None:
    try:
        raise error
    except Exception:  # noqa: BLE001
        text = "Traceback (most recent call last):\n  File ..."
        raise TuneError(text)  # noqa: B904 - as Ray does


@pytest.mark.parametrize("raises", [plainly, by_ray])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (gone(), "OperationalError: (builtins.Exception) server closed the connection"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError(errno.ESTALE, "Stale file handle"), "Stale file handle"),
    ],
)
def test_a_database_or_disk_that_gave_way_is_one_sentence_also_through_ray(
    error: Exception, reason: str, raises: Callable[[Exception], None]
) -> None:
    with pytest.raises(SearchError) as raised, told("toy"):
        raises(error)
    assert str(raised.value) == f"the search of 'toy' was cut off ({reason}); {GOES_ON}"


def test_optunas_error_is_told_by_its_cause() -> None:
    with pytest.raises(SearchError, match="server closed the connection"), told("toy"):
        by_optuna()


def test_an_error_of_ray_itself_is_told_and_a_bug_or_a_sentence_of_ours_passes_as_it_was_raised() -> None:
    with pytest.raises(SearchError, match=r"cut off \(TuneError: the cluster is gone\)"), told("toy"):
        plainly(TuneError("the cluster is gone"))
    for error in (KeyError("x"), StudyError("a study ..."), OSError(errno.ENOENT, "No such file")):
        for raises in (plainly, by_ray):
            with pytest.raises(type(error)) as raised, told("toy"):
                raises(error)
            assert raised.value is error


def test_a_full_disk_ends_the_search_and_the_trial_waits_with_its_last_whole_epoch(
    root: Path, data: fakes.FakeData, events: list[Event]
) -> None:
    spec = fakes.spec(epochs=4, scheduler="none")
    with open_writer(spec, root, data) as writer:
        found = Session(writer, Limits(trials=3), emit=events.append)
        assignment = found.next_trial()
        assert assignment is not None
        work = fakes.worker(assignment, fakes.job(writer.folder, data))
        assert found.epoch(0, work())
        assert not found.epoch(0, {"error": "OSError: [Errno 28] ...", "disk": "No space left on device"})
        assert found.cut_off == "No space left on device"
        assert found.next_trial() is None
        assert writer.waiting() == {0: 1}
    assert [e.state for e in events if isinstance(e, TrialEnded)] == ["WAITING"]
    with open_writer(spec, root, data) as writer:
        run_session(Session(writer, Limits(trials=3), emit=lambda _: None), data)
        assert [list(t.values) for t in writer.reader.trials()] == [[1, 2, 3, 4]] * 3
