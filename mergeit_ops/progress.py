"""How work shows that it goes on: bars of one style, for whatever takes longer than ten seconds."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tqdm import tqdm

__all__ = ["DELAY_S", "counted", "progress_bar", "working"]

DELAY_S = 10.0
"""Before that a bar is noise."""

_TICK_S = 1.0
_LINE_EVERY_S = 30.0  # where each state of a bar is a line of its own, as in a log file

_T = TypeVar("_T")


def progress_bar(total: int | None, what: str, unit: str, *, delay_s: float = DELAY_S) -> tqdm[Any]:
    """Return a bar that appears if the work takes long.

    :param total: units in all; None: not known.
    :param what: what is done, or by which operator.
    :param unit: what is counted, in the plural.
    :param delay_s: seconds before it appears.
    """
    every = 0.1 if _on_terminal() else _LINE_EVERY_S
    return tqdm(total=total, desc=what, unit=f" {unit}", dynamic_ncols=True, delay=delay_s, mininterval=every)


def counted(items: Iterable[_T], total: int | None, what: str, unit: str) -> Iterator[_T]:
    """Yield items under a bar; see `progress_bar`.

    :param items: each counts as one unit when the next one is asked for.
    :param total: how many there are; None: not known.
    :param what: what is done.
    :param unit: what is counted, in the plural.
    """
    with progress_bar(total, what, unit) as bar:
        for item in items:
            yield item
            bar.update()


@contextmanager
def working(what: str, *, delay_s: float = DELAY_S) -> Iterator[None]:
    """Show how long a single computation takes, of which nobody knows how much is done.

    :param what: what is done.
    :param delay_s: seconds before it is shown.
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
