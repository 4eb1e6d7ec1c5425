"""Results that do not depend on the number of cores."""

from __future__ import annotations

from contextlib import AbstractContextManager

_THREADS = 2


def fixed_threads() -> AbstractContextManager[object]:
    """Return a context in which scikit-learn and BLAS compute in two threads, on any number of cores.

    Threads add up their shares in the order in which they end, and K-means carries a difference in the last digit on
    until rows change their cluster. Of two shares the order does not matter.
    """
    # Libraries that are loaded later are not bound: K-means brings its own.
    import sklearn.cluster
    import sklearn.decomposition  # noqa: F401
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=_THREADS)
