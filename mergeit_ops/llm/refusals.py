"""Refusals since the server's last answer, and whether they concern more than single requests."""

from __future__ import annotations

import re
from collections import Counter

from mergeit_ops.llm.failures import CallFailedError, FailureKind

__all__ = ["Refusals", "gist"]

_OF_ACCOUNT = 3
"""Number of refused requests in a row, for a reason that applies to all requests, after which a run stops."""

_FORBIDDEN = 5
"""The same for 403, which firewalls and moderators also send for single requests."""

_OF_ANY_KIND = 20
"""The same for server errors and for refusals in the same words."""

_LONG = 100
"""The same for refusals in any words. Even a run that accepts any share of failures ends there."""

_VARYING = re.compile(r"\S*\d\S*")
"""Parts that differ in refusals with the same words: the name of a request, a time, a count."""

_ABOUT_ONE = (FailureKind.TOO_LONG, FailureKind.REFUSED)


def gist(words: str) -> str:
    """Return a refusal without names and numbers, which is equal for refusals that differ only in these.

    :param words: message of a server.
    """
    return _VARYING.sub("#", words)


class Refusals:
    """Requests that were given up since the server's last answer; an answer resets the counts.

    An engine keeps it from run to run and sends it between processes, so it holds only plain data.
    """

    def __init__(self) -> None:
        self._given_up: dict[str, tuple[FailureKind, str]] = {}
        self._waiting: set[str] = set()
        self._answered_later = 0
        self._since_s: float | None = None
        self.answers = 0

    def begin(self) -> None:
        """Record that a run starts: no request waits, and no time has passed."""
        self._waiting.clear()
        self._answered_later = 0
        self._since_s = None

    def answered(self) -> None:
        """Record that the server answered a request."""
        self.answers += 1
        self._given_up.clear()
        self._since_s = None

    def add(self, other: Refusals) -> None:
        """Add the refusals that others got from the same server later or at the same time.

        Their answers are not counted, because an answer ends earlier refusals and says nothing about later ones.

        :param other: not changed.
        """
        if other.answers:
            self._given_up.clear()
        self._given_up.update(other._given_up)

    def rate_limited(self, request: str, now_s: float) -> None:
        """Record that a call was refused for its rate and may be retried.

        :param request: name of the request.
        :param now_s: monotonic seconds.
        """
        self._waiting.add(request)
        if self._since_s is None:
            self._since_s = now_s

    def through(self, request: str, answered: bool) -> None:
        """Record that a request no longer waits.

        :param request: name of the request.
        :param answered: whether it was answered.
        """
        self._waiting.discard(request)
        self._answered_later += answered

    def several(self) -> int:
        """Return the number of refused requests if it is at least three; otherwise 0.

        It includes requests that wait, requests that were given up, and up to three that were answered after waiting.
        """
        count = len(self._waiting | self._given_up.keys()) + min(self._answered_later, _OF_ACCOUNT)
        return count if count >= _OF_ACCOUNT else 0

    def stalled_s(self, now_s: float) -> float:
        """Return how long the server has refused requests for their rate without an answer.

        :param now_s: monotonic seconds.
        """
        return 0.0 if self._since_s is None else now_s - self._since_s

    def given_up(self, request: str, failure: CallFailedError) -> None:
        """Record that a request is not retried.

        :param request: name of the request; a request with several candidates counts once.
        :param failure: the error of its last call.
        """
        if failure.kind not in _ABOUT_ONE and len(self._given_up) < _LONG:
            self._given_up[request] = (failure.kind, gist(failure.detail))

    def hopeless(self, any_kind: bool) -> bool:
        """Return whether the next request would fail too.

        :param any_kind: whether server errors and requests refused in the same words count too.
        """
        kinds = Counter(kind for kind, _ in self._given_up.values())
        of_account = sum(count for kind, count in kinds.items() if kind.of_account)
        if of_account >= (_FORBIDDEN if kinds[FailureKind.FORBIDDEN] == of_account else _OF_ACCOUNT):
            return True
        if kinds[FailureKind.BAD_REQUEST] >= _LONG:
            return True
        if not any_kind:
            return False
        words = Counter(detail for kind, detail in self._given_up.values() if kind is FailureKind.BAD_REQUEST)
        others = len(self._given_up) - sum(words.values())
        return others + max(words.values(), default=0) >= _OF_ANY_KIND
