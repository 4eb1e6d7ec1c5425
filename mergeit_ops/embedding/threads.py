"""Several forward passes of a small model at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_MOST_WORKERS = 32  # above, they wait for Python more than they gain


def in_threads(function: Callable[[T], R], items: Iterable[T], most_workers: int = _MOST_WORKERS) -> Iterator[R]:
    """Yield what a function that runs a model returns for each item, in order.

    Small matrices do not keep all cores busy, small batches side by side do. Each worker computes on one core: what
    several cores share out among them may be added in another order, and then the result depends on their number.

    :param function: runs in threads of the pool.
    :param items: what to call it with.
    :param most_workers: threads at most, >= 1, beside the bound by the cores that torch may use.
    :raises Exception: what the function raises; items that wait by then are left out.
    """
    import torch

    cores = torch.get_num_threads()
    workers = min(cores, most_workers, _MOST_WORKERS)
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
