"""Runs of an engine in which time passes only while nothing happens, in the right order for any number of sleepers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mergeit_ops.llm.engine import LLMEngine

_THREADS_S = 0.002
"""Really waited for before time is skipped: requests and outcomes come from a thread."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that skips the time in which nothing happens.

    :param threads_s: seconds to wait for other threads before.
    """

    def __init__(self, threads_s: float = 0.0) -> None:
        self.now = 0.0
        super().__init__()
        select = self._selector.select

        def skip(timeout: float | None = None) -> Any:
            if timeout is None:
                return select(None if threads_s else 0)
            events = select(min(timeout, threads_s))
            if not events:
                self.now += max(0.0, timeout)
            return events

        self._selector.select = skip

    def time(self) -> float:
        return self.now


def in_virtual_time(engine: LLMEngine, monkeypatch: pytest.MonkeyPatch) -> VirtualLoop:
    """Have the next run of an engine take no time; return the loop that knows how late it is."""
    loop = VirtualLoop(_THREADS_S)
    monkeypatch.setattr(asyncio.events, "new_event_loop", lambda: loop)
    monkeypatch.setattr(asyncio.runners.events, "new_event_loop", lambda: loop)
    engine.clock, engine.sleep = loop.time, asyncio.sleep
    return loop
