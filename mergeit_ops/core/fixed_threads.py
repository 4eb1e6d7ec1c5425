"""Results that do not depend on the number of cores."""

from __future__ import annotations

from contextlib import AbstractContextManager

_THREADS = 2
_ROWS_OF_ONE_THREAD = 20_000


def fixed_threads(rows: int) -> AbstractContextManager[object]:
    """Return a context in which scikit-learn and BLAS compute in one or two threads, on any number of cores.

    Threads add up their partial sums in the order in which they finish, and K-means amplifies a difference in the last
    digit until rows change their cluster. With two partial sums the order does not matter. The number of rows alone
    decides between one and two. Threads of BLAS wait for each other in a loop, so on a machine that does other work
    too, two of them take many times the processor time of one; only work of seconds is worth that.

    :param rows: rows to fit on.
    """
    # K-means loads its library first, because libraries that are loaded later are not limited.
    import sklearn.cluster
    import sklearn.decomposition  # noqa: F401
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1 if rows <= _ROWS_OF_ONE_THREAD else _THREADS)
