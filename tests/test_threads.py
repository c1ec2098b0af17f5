"""In a block linear algebra has one thread, and as many as before after it."""

from threading import Event, Thread

from threadpoolctl import threadpool_info, threadpool_limits

from ferhpo._threads import single_thread


def blas() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_linear_algebra_has_one_thread_in_a_block_and_as_many_as_before_after_it() -> None:
    with threadpool_limits(2, user_api="blas"):
        assert blas() == {2}
        with single_thread():
            assert blas() == {1}
        assert blas() == {2}


def test_two_threads_in_such_blocks_leave_as_many_as_before() -> None:
    entered, left = Event(), Event()

    def other() -> None:
        with single_thread():
            entered.set()
            left.wait(5)

    with threadpool_limits(2, user_api="blas"):
        thread = Thread(target=other)
        with single_thread():
            thread.start()
            assert entered.wait(5)
        assert blas() == {1}, "the other one is still inside"
        left.set()
        thread.join()
        assert blas() == {2}
