"""Results that do not depend on the number of cores."""

from threadpoolctl import threadpool_info

from mergeit_ops.core.fixed_threads import fixed_threads


def pools() -> dict[str, int]:
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}


def test_every_library_computes_in_two_threads_and_gets_its_own_number_back():
    with fixed_threads():
        limited = pools()
    assert limited
    assert set(limited.values()) == {2}
    # With another number from outside, so that the return is seen on a machine with two cores too.
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        with fixed_threads():
            assert set(pools().values()) == {2}
        assert set(pools().values()) == {1}
