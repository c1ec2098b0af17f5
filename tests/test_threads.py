"""In a block linear algebra has one thread, and as many as before after it."""

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
