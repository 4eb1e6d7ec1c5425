"""Several forward passes of a small model at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_MOST_WORKERS = 8  # above, they wait for Python more than they gain


def in_threads(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield what a function that runs a model returns for each item, in order.

    Small matrices do not keep all cores busy, small batches side by side do: each worker takes its share of the cores
    that torch may use, one where there are few.

    :param function: runs in threads of the pool.
    :param items: what to call it with.
    :raises Exception: what the function raises; items that wait by then are left out.
    """
    import torch

    cores = torch.get_num_threads()
    workers = min(cores, _MOST_WORKERS)
    if workers == 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers, "mergeit-embedding", torch.set_num_threads, (cores // workers,))
    try:
        yield from pool.map(function, items)
    finally:
        # What waits is not begun: an interrupted run ends at once.
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(cores)
