"""Results that do not depend on the number of cores."""

from __future__ import annotations

from contextlib import AbstractContextManager


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which scikit-learn and BLAS compute in one thread.

    Threads add up their shares in the order in which they end, and K-means carries a difference in the last digit on
    until rows change their cluster.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1)
