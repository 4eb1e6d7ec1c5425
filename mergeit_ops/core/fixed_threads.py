"""Results that do not depend on the number of cores."""

from __future__ import annotations

from contextlib import AbstractContextManager

_THREADS = 2


def fixed_threads() -> AbstractContextManager[object]:
    """Return a context in which scikit-learn and BLAS compute in two threads, on any number of cores.

    Threads add up their partial sums in the order in which they finish, and K-means amplifies a difference in the last
    digit until rows change their cluster. With two partial sums the order does not matter.
    """
    # Libraries that are loaded later are not limited; K-means loads its own.
    import sklearn.cluster
    import sklearn.decomposition  # noqa: F401
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=_THREADS)
