"""The tokens of one process on a cluster, leased for several calls at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

__all__ = ["TokenLease"]

_CALLS_AHEAD = 32
"""Number of further calls for which a process asks for tokens. With messages for each call, the calls of the whole
cluster are limited to about two hundred a second."""


class TokenLease:
    """The tokens that a process has of a budget that others share.

    While tokens are plentiful, the process gets them in blocks, and tells what it used with the next block. When they
    become scarce, it gives back what it does not need, and then asks for every call, so that all tokens can be used.

    What the budget has reserved for the process is always the sum of free tokens, reserves of calls under way, and
    used tokens of which the budget has not been told.

    :param lease: coroutine function that reserves tokens: some for a call, and more of them if there are many left. It
        returns their number; 0 if the call must not be made.
    :param settle: function that replaces a part of what is reserved by the tokens that were used.
    :param overdrawn: coroutine function that returns whether calls of any process took more than their reserve.
    """

    def __init__(
        self,
        lease: Callable[[int, int], Awaitable[int]],
        settle: Callable[[int, int], None],
        overdrawn: Callable[[], Awaitable[bool]],
    ) -> None:
        self._lease = lease
        self._settle = settle
        self._overdrawn = overdrawn
        self._free = 0
        self._untold = 0
        self._scarce = True
        self._asks_ahead = False

    async def reserve(self, tokens: int) -> bool:
        """Set tokens aside for a call; see `TokenBudget`."""
        if self._free >= tokens:
            self._free -= tokens
            return True
        if self._asks_ahead:
            # One block at a time.
            return bool(await self._lease(tokens, 0))
        self._asks_ahead = True
        try:
            leased = await self._lease(tokens, _CALLS_AHEAD * tokens)
        finally:
            self._asks_ahead = False
        self._free += max(0, leased - tokens)
        self._scarce = leased <= tokens
        if self._scarce:
            self.give_back()
        return bool(leased)

    async def overdrawn(self) -> bool:
        """Return whether no call may be sent; see `TokenBudget`."""
        return self._scarce and await self._overdrawn()

    def lose(self, tokens: int) -> None:
        """Count tokens of a call without an answer, in addition to its reserve."""
        self._use(0, tokens)

    def settle(self, reserved: int, used: int) -> None:
        """Replace the reserve of a call with the tokens that it used."""
        self._use(reserved, used)

    def give_back(self) -> None:
        """Give all free tokens back, and do so after every call from now on, until there are many again."""
        self._scarce = True
        if self._free or self._untold:
            self._settle(self._free + self._untold, self._untold)
            self._free = self._untold = 0

    def _use(self, reserved: int, used: int) -> None:
        self._free += reserved - used
        self._untold += used
        if self._scarce or self._free < 0:
            self.give_back()
