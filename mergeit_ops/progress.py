"""Progress bars of one style, for work that takes longer than ten seconds."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tqdm import tqdm

__all__ = ["DELAY_S", "counted", "progress_bar", "working"]

DELAY_S = 10.0
"""Seconds before a bar appears. Shorter work needs none."""

_TICK_S = 1.0
_LINE_EVERY_S = 30.0  # where each state of a bar is a line of its own, as in a log file

_T = TypeVar("_T")


def progress_bar(total: int | None, what: str, unit: str, *, delay_s: float = DELAY_S) -> tqdm[Any]:
    """Return a bar that appears if the work takes long.

    :param total: number of units; None if it is not known.
    :param what: name of the work, or of the operator that does it.
    :param unit: name of a unit, in the plural.
    :param delay_s: seconds before the bar appears.
    """
    every = 0.1 if _on_terminal() else _LINE_EVERY_S
    return tqdm(total=total, desc=what, unit=f" {unit}", dynamic_ncols=True, delay=delay_s, mininterval=every)


def counted(items: Iterable[_T], total: int | None, what: str, unit: str) -> Iterator[_T]:
    """Yield items under a bar; see `progress_bar`.

    :param items: items, each of which is one unit. It counts when the caller asks for the next one.
    :param total: number of items; None if it is not known.
    :param what: name of the work.
    :param unit: name of a unit, in the plural.
    """
    with progress_bar(total, what, unit) as bar:
        for item in items:
            yield item
            bar.update()


@contextmanager
def working(what: str, *, delay_s: float = DELAY_S) -> Iterator[None]:
    """Show the seconds of a single computation whose progress is not known.

    :param what: name of the work.
    :param delay_s: seconds before the clock appears.
    """
    done = threading.Event()

    def tick() -> None:
        if done.wait(delay_s):
            return
        with tqdm(desc=what, bar_format="{desc}: {elapsed}", initial=0) as bar:
            bar.start_t -= delay_s
            while not done.wait(_TICK_S if _on_terminal() else _LINE_EVERY_S):
                bar.refresh()

    ticker = threading.Thread(target=tick, name="progress", daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        # No thread is left: what comes next may fork.
        ticker.join()


def _on_terminal() -> bool:
    isatty = getattr(sys.stderr, "isatty", None)
    return bool(isatty and isatty())
