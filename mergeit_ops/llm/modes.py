"""Find out which of several ways to ask a server accepts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from mergeit_ops.llm.failures import CallFailedError, FailureKind

__all__ = ["IgnoredModeError", "Modes"]

F = TypeVar("F")
T = TypeVar("T")
_REFUSALS = (400, 422)
_OUT_OF_ORDER = (502, 503, 504)


class IgnoredModeError(CallFailedError):
    """A response without what its mode asks for; the server does not know the mode."""

    def __init__(self, detail: str) -> None:
        super().__init__(FailureKind.BAD_REQUEST, detail)


class Modes:
    """The first of several modes (ways to ask) that a server accepts, found with the requests of the run.

    A mode is given up only while no request has succeeded in it. After that, a refusal is due to the request. As long
    as no request has succeeded at all, a server error counts as a refusal too, because some servers fail at a field
    that they do not know.

    :param fields: fields of the request that distinguish the modes. A server that refuses another field refuses every
        mode.
    """

    def __init__(self, fields: Sequence[str] = ()) -> None:
        self.mode = 0
        self._fields = (None, *fields)
        self._succeeded: set[int] = set()

    @property
    def found(self) -> bool:
        """Whether a request has succeeded in any mode."""
        return bool(self._succeeded)

    async def send(self, send: Callable[[F], Awaitable[T]], forms: Sequence[F]) -> T:
        """Send a request in the best known mode, and in lower modes as long as it is refused.

        :param send: function that sends the request in one form.
        :param forms: form of the request in each mode, best first.
        :raises CallFailedError: the failure of the lowest mode that was tried.
        """
        mode = self.mode
        while True:
            try:
                result = await send(forms[mode])
            except CallFailedError as failure:
                if not self.refused(failure) or mode in self._succeeded or mode == len(forms) - 1:
                    raise
                mode = max(mode + 1, self.mode)
                continue
            self.accept(mode)
            return result

    def accept(self, mode: int) -> None:
        """Record that a request has succeeded in a mode.

        :param mode: number of the mode.
        """
        self._succeeded.add(mode)
        if self.mode not in self._succeeded:
            self.mode = max(self.mode, mode)

    def give_up(self, mode: int, failure: CallFailedError, number: int) -> bool:
        """Give up a mode in which no request has succeeded; return whether there is a lower one.

        :param mode: mode in which a request failed.
        :param failure: of the request.
        :param number: of modes.
        """
        if not self.refused(failure) or mode in self._succeeded or mode >= number - 1:
            return False
        self.mode = max(self.mode, mode + 1)
        return True

    def refused(self, failure: CallFailedError) -> bool:
        """Return whether a failure may be due to the mode.

        :param failure: of a request.
        """
        if isinstance(failure, IgnoredModeError):
            return True
        if failure.field not in self._fields:
            # Another parameter is the cause, so every mode would fail.
            return False
        if failure.kind is FailureKind.BAD_REQUEST and failure.status in _REFUSALS:
            return True
        status = failure.status or 0
        return not self._succeeded and status >= 500 and status not in _OUT_OF_ORDER and failure.retry_after is None

    def add(self, other: Modes) -> None:
        """Add what another search with the same server has found.

        :param other: not changed.
        """
        self._succeeded |= other._succeeded
        # If both have succeeded, the better mode.
        self.mode = min(self._succeeded, default=max(self.mode, other.mode))
