"""In a block linear algebra has one thread, and as many as before after it."""

from collections.abc import Iterator
from threading import Event, Thread

import pytest
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from ferhpo._threads import single_thread


def blas() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_linear_algebra_has_one_thread_in_a_block_and_as_many_as_before_after_it() -> None:
    with threadpool_limits(2, user_api="blas"):
        assert blas() == {2}
        with single_thread():
            assert blas() == {1}
        assert blas() == {2}


@pytest.fixture
def two() -> Iterator[None]:
    """Let linear algebra have two threads, and no Python thread be the only one that may change that."""
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    before = [library.num_threads for library in libraries]
    for library in libraries:
        library.set_num_threads(2)
    yield
    for library, threads in zip(libraries, before, strict=True):
        library.set_num_threads(threads)


@pytest.mark.usefixtures("two")
def test_blocks_that_overlap_in_two_threads_leave_as_many_as_before() -> None:
    entered, leave = Event(), Event()

    def other() -> None:
        with single_thread():
            entered.set()
            leave.wait(5)

    thread = Thread(target=other)
    with single_thread():
        thread.start()
        assert entered.wait(5)
        assert blas() == {1}
    leave.set()
    thread.join()
    assert blas() == {2}


def test_a_block_within_a_block_changes_nothing() -> None:
    with threadpool_limits(2, user_api="blas"):
        with single_thread():
            with single_thread():
                pass
            assert blas() == {1}
        assert blas() == {2}
