"""How many calls may be in flight, shared by a whole stage: a bound, a common pause, and a slower start after it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType

__all__ = ["ConcurrencyLimit"]


class ConcurrencyLimit:
    """An asynchronous context manager that every call passes.

    When the server asks to slow down, all calls pause, and the bound is halved; it grows again by one per round of
    good answers.

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
            # The calls that were in flight together are refused together: that counts as one refusal.
            self._limit = max(1.0, self._limit / 2)
        self._paused_until = max(self._paused_until, now + seconds)

    def speed_up(self) -> None:
        """Note a good answer."""
        if self._limit < self._most:
            self._limit = min(float(self._most), self._limit + 1 / self._limit)
            self._wake()

    async def _pause_over(self) -> None:
        while (left := self._paused_until - self._clock()) > 0:
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
