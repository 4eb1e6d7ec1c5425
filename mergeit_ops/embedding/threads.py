"""Several forward passes of a small model at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

MOST_WORKERS = 32  # more would lose more time waiting for Python than they gain


def in_threads(function: Callable[[T], R], items: Iterable[T], most_workers: int = MOST_WORKERS) -> Iterator[R]:
    """Yield the result of a function that runs a model for each item, in order.

    Small matrices do not keep all cores busy, but several small batches in parallel do. Each worker computes on one
    core. Several cores may add in another order, so the result would depend on their number.

    :param function: function to run in the threads of a pool.
    :param items: arguments of the function.
    :param most_workers: most threads, >= 1; never more than the cores that torch may use.
    :raises Exception: the function's exception; waiting items are skipped.
    """
    import torch

    cores = torch.get_num_threads()
    workers = min(cores, most_workers, MOST_WORKERS)
    if cores == 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers, "mergeit-embedding", torch.set_num_threads, (1,))
    try:
        yield from pool.map(function, items)
    finally:
        # Waiting items are not started, so an interrupted run ends at once.
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(cores)
