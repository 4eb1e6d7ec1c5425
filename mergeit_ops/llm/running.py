"""Run a coroutine to its end from synchronous code, in any thread."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

__all__ = ["run_to_end", "spared_collections"]

T = TypeVar("T")


def run_to_end(coroutine: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a separate event loop and wait for it.

    If the calling thread already runs a loop, as in a notebook, another thread is used. An interrupt of the waiting
    thread cancels the coroutine and waits until it has cleaned up.

    :param coroutine: function that makes the coroutine.
    :return: result of the coroutine; its exception is raised.
    """
    return _in_thread(coroutine) if _loop_is_running() else asyncio.run(coroutine())


@contextmanager
def spared_collections() -> Iterator[None]:
    """Exclude all existing objects from garbage collection in this context.

    A full collection visits every object of the loaded libraries, a million with torch, and would delay all pending
    answers for a tenth of a second. New objects are collected as usual.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_thread(coroutine: Callable[[], Coroutine[Any, Any, T]]) -> T:
    results: list[T] = []
    errors: list[BaseException] = []
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = []

    async def main() -> T:
        task = asyncio.ensure_future(coroutine())
        started.append((asyncio.get_running_loop(), task))
        return await task

    def work() -> None:
        try:
            results.append(asyncio.run(main()))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, name="mergeit-llm", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        for loop, task in started:
            if not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    if errors:
        raise errors[0]
    return results[0]
