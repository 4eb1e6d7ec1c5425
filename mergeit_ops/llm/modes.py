"""Finding out which of several ways to ask a server accepts."""

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
    """A response that leaves out what its mode asks for: the server does not know the mode."""

    def __init__(self, detail: str) -> None:
        super().__init__(FailureKind.BAD_REQUEST, detail)


class Modes:
    """The first of several ways to ask that a server accepts, found with the requests that have to be made anyway.

    A mode is given up only while no request has succeeded in it: later on, a refused request is the request's fault.
    As long as no request has succeeded at all, an error of the server counts as a refusal too: some servers fail over
    a field they do not know.

    :param fields: of the request, which tell the modes apart. A server that refuses another one refuses every mode.
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
        """Send a request in the best mode known, and one mode lower as long as it is refused.

        :param send: sends the request in one form.
        :param forms: what to send in each mode, best first.
        :raises CallFailedError: from the lowest mode that was tried.
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
        """Note that a request has succeeded in a mode.

        :param mode: its number.
        """
        self._succeeded.add(mode)
        if self.mode not in self._succeeded:
            self.mode = max(self.mode, mode)

    def give_up(self, mode: int, failure: CallFailedError, number: int) -> bool:
        """Leave a mode that no request has succeeded in; return whether there is a lower one.

        :param mode: in which a request failed.
        :param failure: of the request.
        :param number: of modes.
        """
        if not self.refused(failure) or mode in self._succeeded or mode >= number - 1:
            return False
        self.mode = max(self.mode, mode + 1)
        return True

    def refused(self, failure: CallFailedError) -> bool:
        """Return whether a failure may be about the mode.

        :param failure: of a request.
        """
        if isinstance(failure, IgnoredModeError):
            return True
        if failure.field not in self._fields:
            # The cause is another parameter, so every mode would fail.
            return False
        if failure.kind is FailureKind.BAD_REQUEST and failure.status in _REFUSALS:
            return True
        status = failure.status or 0
        return not self._succeeded and status >= 500 and status not in _OUT_OF_ORDER and failure.retry_after is None

    def add(self, other: Modes) -> None:
        """Learn what another search with the same server has found.

        :param other: stays as it is.
        """
        self._succeeded |= other._succeeded
        # Of two that have succeeded, the better one.
        self.mode = min(self._succeeded, default=max(self.mode, other.mode))
