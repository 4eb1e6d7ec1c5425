"""Several forward passes of a small model at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

MOST_WORKERS = 32  # above, they wait for Python more than they gain


def in_threads(function: Callable[[T], R], items: Iterable[T], most_workers: int = MOST_WORKERS) -> Iterator[R]:
    """Yield what a function that runs a model returns for each item, in order.

    Small matrices do not keep all cores busy, but several small batches in parallel do. Each worker computes on one
    core, because several cores may add in another order, and then the result would depend on their number.

    :param function: runs in threads of the pool.
    :param items: its arguments.
    :param most_workers: maximum number of threads, >= 1; never more than the cores that torch may use.
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
        # What waits is not begun: an interrupted run ends at once.
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(cores)
