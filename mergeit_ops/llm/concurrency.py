"""The number of calls in flight, shared by a whole stage: a limit, a common pause, and a slower start after it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

__all__ = ["ConcurrencyLimit"]


_GROWTH = 0.02
"""Share of the limit that a round of good answers adds, in addition to one place."""

_SPREAD_S = 0.5
"""Seconds over which calls start again if all had been refused."""

_IN_A_ROW = 2
"""Number of refusals after which a call that has not been refused goes first."""


class ConcurrencyLimit:
    """Places for calls. Every call occupies one while it is in flight.

    When the server asks to slow down, all calls pause, and every refused call lowers the limit by one place, so that
    the limit approaches what the server accepts. The refusals of one pause lower it by at most half. If a server
    refuses one call in a hundred at random, the run takes hardly longer than its pauses. If it has a fixed rate, the
    limit settles where few calls are refused. A round of good answers raises it by one place and a fiftieth. After a
    pause, calls do not start all at once but over up to half a second, depending on the share that had been refused,
    because a server that limits the rate would refuse a burst again.

    Calls start in the order of their tickets, so that a refused call goes before those that came later. After two
    refusals in a row, a call that has not been refused goes first. So calls that the server always refuses do not hold
    up the run.

    :param limit: most calls in flight, at least 1.
    :param clock: monotonic seconds.
    :param sleep: function that waits some seconds; tests pass one that does not.
    :param shared: function that returns a context in which a call has a place among those of other processes too; None:
        there are no others.
    """

    def __init__(
        self,
        limit: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        shared: Callable[[], AbstractAsyncContextManager[None]] | None = None,
    ) -> None:
        self._most = limit
        self._limit = float(limit)
        self._clock = clock
        self._sleep = sleep
        self._shared = shared
        self._in_flight = 0
        self._paused_until = float("-inf")
        self._refused = 0
        self._least = 1.0
        self._tickets, self._entries = itertools.count(), itertools.count()
        self._in_a_row = 0
        self._waiting: set[int] = set()
        self._refused_before: set[int] = set()
        self._queue: list[tuple[int, int, asyncio.Future[None]]] = []

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return int(self._limit)

    def ticket(self) -> int:
        """Return a call's place in the order, which it keeps when it is retried."""
        return next(self._tickets)

    @asynccontextmanager
    async def place(self, ticket: int) -> AsyncIterator[None]:
        """Wait for a place, and occupy it while a call is in flight.

        :param ticket: of the call.
        """
        async with AsyncExitStack() as places:
            while True:
                await self._own_place(ticket)
                places.callback(self._leave)
                if self._shared is None:
                    break
                await places.enter_async_context(self._shared())
                if self._clock() >= self._paused_until:
                    break
                # The pause began while the call waited for a place among the others.
                await places.aclose()
            if ticket not in self._refused_before:
                self._in_a_row = 0
            yield

    async def _own_place(self, ticket: int) -> None:
        self._waiting.add(ticket)
        try:
            await self._pause_over(ticket)
            while self._in_flight >= self.limit:
                await self._turn(ticket)
                await self._pause_over(ticket)
        except BaseException:
            # It may have been woken already, so another call gets the place.
            self._wake()
            raise
        finally:
            self._waiting.discard(ticket)
        self._in_flight += 1

    def _leave(self) -> None:
        self._in_flight -= 1
        self._wake()

    def slow_down(self, seconds: float, refused: int | None = None) -> None:
        """Hold back every call.

        :param seconds: length of the pause from now; a longer current pause stays.
        :param refused: ticket of the call that was refused for its rate, if it will be retried.
        """
        now = self._clock()
        if now >= self._paused_until:
            self._refused = 0
            self._least = max(1.0, self._limit / 2)
        self._limit = max(self._least, self._limit - 1)
        self._refused += 1
        if now + seconds > self._paused_until:
            self._paused_until = now + seconds
        if refused is not None:
            # It returns before the pause is over, and is expected then.
            self._waiting.add(refused)
            self._refused_before.add(refused)
            self._in_a_row += 1

    def speed_up(self) -> None:
        """Record a good answer."""
        if self._limit < self._most:
            self._limit = min(float(self._most), self._limit + 1 / self._limit + _GROWTH)
            self._wake()

    async def _pause_over(self, ticket: int) -> None:
        while (left := self._due(ticket) - self._clock()) > 0:
            await self._sleep(left)

    def _due(self, ticket: int) -> float:
        """Return when a call may start: at the end of the pause, or a little later for later calls."""
        if not self._refused or self._clock() < self._paused_until:
            return self._paused_until
        if self._clock() >= self._paused_until + _SPREAD_S:
            return self._paused_until
        exception = self._exception(self._waiting)
        before = sum(other < ticket for other in self._waiting) if exception is None else int(ticket != exception)
        share = min(1.0, self._refused / self.limit)
        return self._paused_until + _SPREAD_S * share * min(before, self.limit) / self.limit

    def _exception(self, tickets: Iterable[int]) -> int | None:
        """Return the ticket that goes before earlier ones; None if there is no exception from the order."""
        if self._in_a_row < _IN_A_ROW:
            return None
        return min((ticket for ticket in tickets if ticket not in self._refused_before), default=None)

    async def _turn(self, ticket: int) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (ticket, next(self._entries), waiter))
        await waiter

    def _wake(self) -> None:
        for _ in range(self.limit - self._in_flight):
            waiter = self._next_in_line()
            if waiter is None:
                return
            # An entry that is done stays in the queue until its turn comes.
            waiter.set_result(None)

    def _next_in_line(self) -> asyncio.Future[None] | None:
        exception = self._exception(ticket for ticket, _, waiter in self._queue if not waiter.done())
        if exception is not None:
            return next(waiter for ticket, _, waiter in self._queue if ticket == exception and not waiter.done())
        while self._queue:
            *_, waiter = heapq.heappop(self._queue)
            if not waiter.done():
                return waiter
        return None
