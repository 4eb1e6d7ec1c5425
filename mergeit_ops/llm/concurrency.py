"""How many calls may be in flight, shared by a whole stage: a bound, a common pause, and a slower start after it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType

__all__ = ["ConcurrencyLimit"]


_GROWTH = 0.02
"""Share of the bound that a round of good answers adds, beside one place."""

_SPREAD_S = 0.5
"""Seconds over which calls start again when all had been refused."""


class ConcurrencyLimit:
    """An asynchronous context manager that every call passes.

    When the server asks to slow down, all calls pause, and every refused call takes a place from the bound, so that
    what remains is about what was accepted; the refusals of one pause take at most half. A call in a hundred refused,
    as by servers that refuse at random, so hardly slows a run beyond the pauses, and at a server with a fixed rate the
    bound settles where little is refused. A round of good answers gives back a place and a fiftieth of the bound.
    After a pause the calls do not start all at once, but over up to half a second, by the share of them that had been
    refused: a burst would be refused again where it is the rate that counts.

    :param limit: calls in flight at most, at least 1.
    :param clock: monotonic seconds.
    :param sleep: waits some seconds; tests bring one that does not.
    """

    def __init__(
        self,
        limit: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._most = limit
        self._limit = float(limit)
        self._clock = clock
        self._sleep = sleep
        self._in_flight = 0
        self._paused_until = float("-inf")
        self._refused = 0
        self._least = 1.0
        self._held = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """Calls that may be in flight at present."""
        return int(self._limit)

    async def __aenter__(self) -> None:
        await self._pause_over()
        while self._in_flight >= self.limit:
            await self._turn()
            await self._pause_over()
        self._in_flight += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._in_flight -= 1
        self._wake()

    def slow_down(self, seconds: float) -> None:
        """Hold back every call.

        :param seconds: how long from now; a pause that lasts longer already stays.
        """
        now = self._clock()
        if now >= self._paused_until:
            self._refused = 0
            self._least = max(1.0, self._limit / 2)
        self._limit = max(self._least, self._limit - 1)
        self._refused += 1
        if now + seconds > self._paused_until:
            self._paused_until = now + seconds
            self._held = 0

    def speed_up(self) -> None:
        """Note a good answer."""
        if self._limit < self._most:
            self._limit = min(float(self._most), self._limit + 1 / self._limit + _GROWTH)
            self._wake()

    async def _pause_over(self) -> None:
        pause = due = float("-inf")
        while True:
            if self._paused_until > pause:
                pause = self._paused_until
                share = min(1.0, self._refused / self.limit)
                due = pause + _SPREAD_S * share * min(self._held, self.limit - 1) / self.limit
                self._held += 1
            left = due - self._clock()
            if left <= 0:
                return
            await self._sleep(left)

    async def _turn(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake()
            raise

    def _wake(self) -> None:
        for _ in range(self.limit - self._in_flight):
            while self._waiters and self._waiters[0].done():
                self._waiters.popleft()
            if not self._waiters:
                return
            self._waiters.popleft().set_result(None)
