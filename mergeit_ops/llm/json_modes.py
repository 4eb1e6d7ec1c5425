"""Finding out how a server can be held to JSON: by schema, as any JSON object, or only by asking for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from mergeit_ops.llm.failures import CallFailedError, FailureKind
from mergeit_ops.llm.servers import response_formats

__all__ = ["JsonModes"]

T = TypeVar("T")
_REFUSALS = (400, 422)
_OUT_OF_ORDER = (502, 503, 504)


class JsonModes:
    """The strictest `response_format` that a server accepts, found with the requests that have to be made anyway.

    A mode is given up only while no request has succeeded in it: later on, a refused request is the request's fault.
    As long as no request has succeeded at all, an error of the server counts as a refusal too: some servers fail over
    a `response_format` they do not know.
    """

    def __init__(self) -> None:
        self.mode = 0
        self._succeeded: set[int] = set()

    async def ask(self, send: Callable[[Mapping[str, Any] | None], Awaitable[T]], schema: Mapping[str, Any]) -> T:
        """Send a request in the best mode known, and one mode lower as long as it is refused.

        :param send: sends the request with this `response_format`; None leaves it out.
        :param schema: JSON schema of the answer.
        :raises CallFailedError: from the lowest mode that was tried.
        """
        mode, formats = self.mode, response_formats(schema)
        while True:
            try:
                result = await send(formats[mode])
            except CallFailedError as failure:
                if not self._refused(failure) or mode in self._succeeded or mode == len(formats) - 1:
                    raise
                mode = max(mode + 1, self.mode)
                continue
            self._succeeded.add(mode)
            if self.mode not in self._succeeded:
                self.mode = max(self.mode, mode)
            return result

    def add(self, other: JsonModes) -> None:
        """Learn what another search with the same server has found.

        :param other: stays as it is.
        """
        self._succeeded |= other._succeeded
        # Of two that have succeeded, the stricter one.
        self.mode = min(self._succeeded, default=max(self.mode, other.mode))

    def _refused(self, failure: CallFailedError) -> bool:
        if failure.field not in (None, "response_format"):
            # The cause is another parameter, so every mode would fail.
            return False
        if failure.kind is FailureKind.BAD_REQUEST and failure.status in _REFUSALS:
            return True
        status = failure.status or 0
        return not self._succeeded and status >= 500 and status not in _OUT_OF_ORDER and failure.retry_after is None
