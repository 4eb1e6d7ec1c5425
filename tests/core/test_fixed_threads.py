"""Results that do not depend on the number of cores."""

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from mergeit_ops.core.fixed_threads import fixed_threads


def pools() -> dict[str, int]:
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}


@pytest.mark.parametrize(("rows", "threads"), [(100, 1), (20_000, 1), (20_001, 2)])
@pytest.mark.parametrize("outside", [1, 2, 3])
def test_every_library_computes_in_as_many_threads_as_the_rows_ask_for_and_gets_its_own_number_back(
    rows, threads, outside
):
    # Loads what is limited.
    with fixed_threads(rows):
        pass
    with threadpool_limits(limits=outside):
        with fixed_threads(rows):
            limited = pools()
        assert limited
        assert set(limited.values()) == {threads}
        assert set(pools().values()) == {outside}
