"""Failed calls in the engine's terms, for all back-ends."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

from mergeit_ops.core.text.characters import printable
from mergeit_ops.llm.masking import Mask, unmasked

__all__ = ["CallFailedError", "FailureKind", "shorten"]

_DETAIL_CHARS = 300
_KEY = re.compile(r"\bsk-[A-Za-z0-9_\-*]{6,}|(?<=[Bb]earer )\S{6,}")
_TERMINAL_CODE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")


class FailureKind(str, Enum):
    """What a failed call means for the run."""

    RATE_LIMITED = "rate_limited"
    TRANSIENT = "transient"
    UNREACHABLE = "unreachable"
    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    NO_CREDIT = "no_credit"
    TOO_LONG = "too_long"
    REFUSED = "refused"
    LOADING = "loading"
    UNUSABLE = "unusable"

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed a little later."""
        return self in (
            FailureKind.RATE_LIMITED,
            FailureKind.TRANSIENT,
            FailureKind.UNREACHABLE,
            FailureKind.LOADING,
        )

    @property
    def fatal(self) -> bool:
        """Whether no call can succeed, as long as none has. A 403 may be about one request only."""
        return self in (
            FailureKind.UNREACHABLE,
            FailureKind.UNAUTHORIZED,
            FailureKind.NOT_FOUND,
            FailureKind.NO_CREDIT,
        )

    @property
    def of_account(self) -> bool:
        """Whether it concerns the key or the model, not a single request."""
        return self in (
            FailureKind.UNAUTHORIZED,
            FailureKind.FORBIDDEN,
            FailureKind.NOT_FOUND,
            FailureKind.NO_CREDIT,
            FailureKind.RATE_LIMITED,
        )


class CallFailedError(Exception):
    """A call without an answer.

    :param kind: what it means for the run.
    :param detail: one short line for people, without headers and keys.
    :param status: the HTTP status; None if there was no response.
    :param retry_after: seconds that the server asks to wait; None if it does not say.
    :param field: field of the request that the server names as the cause; None if it names none.
    :param models: the models of the server, if the requested one does not exist; empty if it does not list them.
    """

    def __init__(
        self,
        kind: FailureKind,
        detail: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        field: str | None = None,
        models: tuple[str, ...] = (),
    ) -> None:
        detail = printable(detail)
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.status = status
        self.retry_after = retry_after
        self.field = field
        self.models = models

    def but(self, **changes: Any) -> CallFailedError:
        """Return the same failure with changed attributes.

        :param changes: new values of attributes.
        """
        other = type(self).__new__(type(self))
        vars(other).update(vars(self) | changes)
        other.detail = printable(other.detail)
        other.args = (other.detail,)
        return other


def shorten(text: str, mask: Mask = unmasked) -> str:
    """Return a server's text as one short line without keys.

    :param text: any text.
    :param mask: function that hides secrets; by default, only what looks like a key is hidden.
    """
    line = " ".join(_TERMINAL_CODE.sub("", text).split())
    if not line.isprintable():
        # Without escaping, these characters could move the cursor of a terminal or break the text of a record.
        line = " ".join("".join(char if char.isprintable() else " " for char in line).split())
    line = _KEY.sub("***", mask(line))
    return line if len(line) <= _DETAIL_CHARS else line[: _DETAIL_CHARS - 1] + "…"
