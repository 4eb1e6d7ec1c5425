"""Matrix products with the same bits on any number of cores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

__all__ = ["inner_products", "squared_distances"]

_BLOCK_ROWS = 512
_FEW_ENTRIES = 2**16
_limited = Lock()


def inner_products(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the inner product of every row of `a` with every row of `b`.

    BLAS divides a product among its threads, and the last digit of an entry depends on the division. Here one BLAS
    thread computes each block of rows, and blocks are computed in parallel.

    :param a: (n, d) float32.
    :param b: (m, d) float32.
    :return: (n, m) float32.
    """
    products = np.empty((len(a), len(b)), dtype=np.float32)
    starts = range(0, len(a), _BLOCK_ROWS)

    def compute(start: int) -> None:
        np.matmul(a[start : start + _BLOCK_ROWS], b.T, out=products[start : start + _BLOCK_ROWS])

    # The limit applies to the process. Two limits at the same time would not restore the original value.
    with _limited:
        # As many as BLAS would use, because Ray gives a task only some of the processors.
        threads = max((library.num_threads or 1 for library in _blas().lib_controllers), default=1)
        with _blas().limit(limits=1):
            if min(len(starts), threads) == 1 or products.size <= _FEW_ENTRIES:
                for start in starts:
                    compute(start)
            else:
                # Some builds of BLAS have a separate limit for each thread.
                with ThreadPoolExecutor(threads, initializer=lambda: _blas().limit(limits=1)) as pool:
                    list(pool.map(compute, starts))
    return products


def squared_distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the squared Euclidean distance of every row of `a` to every row of `b`; rounding makes none negative.

    :param a: (n, d) float32.
    :param b: (m, d) float32.
    :return: (n, m) float32.
    """
    norms = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)[None]
    return np.maximum(norms - 2 * inner_products(a, b), 0)


@lru_cache(maxsize=1)
def _blas() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    # Searching for the libraries takes milliseconds, so it is done once. NumPy has loaded its own already.
    return ThreadpoolController().select(user_api="blas")
