"""What a server has refused since it last answered, and when that is no longer about single requests."""

from __future__ import annotations

from collections import Counter

from mergeit_ops.llm.classify import CallFailedError, FailureKind

__all__ = ["Refusals"]

_OF_ACCOUNT = 3
"""Requests in a row that a server refuses for a reason that holds for all of them."""

_FORBIDDEN = 5
"""Requests in a row with 403, which firewalls and moderators also answer to single requests."""

_OF_ANY_KIND = 20
"""Requests in a row that fail with errors of the server, or are refused in the same words."""

_ABOUT_ONE = (FailureKind.TOO_LONG, FailureKind.REFUSED)


class Refusals:
    """Requests that were given up since the server last answered; an answer starts it anew.

    It is remembered from run to run of an engine, and travels between processes: it holds plain data only.
    """

    def __init__(self) -> None:
        self._given_up: dict[str, tuple[FailureKind, str]] = {}
        self._rate_limited: set[str] = set()
        self._since_s: float | None = None

    def begin(self) -> None:
        """Hear that a run starts: no time has passed for it."""
        self._rate_limited.clear()
        self._since_s = None

    def answered(self) -> None:
        """Hear that the server has answered a request."""
        if self._given_up or self._rate_limited:
            self._given_up.clear()
            self._rate_limited.clear()
            self._since_s = None

    def rate_limited(self, request: str, now_s: float) -> None:
        """Hear that a call was refused for its rate, whether or not it is made again.

        :param request: names the request.
        :param now_s: monotonic seconds.
        """
        if len(self._rate_limited) < _OF_ACCOUNT:
            self._rate_limited.add(request)
        if self._since_s is None:
            self._since_s = now_s

    def stalled_s(self, now_s: float) -> float | None:
        """Return for how long several requests have been refused for their rate; None where it is one or two.

        :param now_s: monotonic seconds.
        """
        if self._since_s is None or len(self._rate_limited) < _OF_ACCOUNT:
            return None
        return now_s - self._since_s

    def given_up(self, request: str, failure: CallFailedError) -> None:
        """Hear that a request is not asked again.

        :param request: names the request: one with several candidates counts once.
        :param failure: what its last call ended with.
        """
        if failure.kind not in _ABOUT_ONE and len(self._given_up) < _OF_ANY_KIND:
            self._given_up[request] = (failure.kind, failure.detail)

    def hopeless(self, any_kind: bool) -> bool:
        """Tell whether the next request would fare no better.

        :param any_kind: whether errors of the server, and requests refused in the same words, count too.
        """
        kinds = Counter(kind for kind, _ in self._given_up.values())
        of_account = sum(count for kind, count in kinds.items() if kind.of_account)
        if of_account >= (_FORBIDDEN if kinds[FailureKind.FORBIDDEN] == of_account else _OF_ACCOUNT):
            return True
        if not any_kind:
            return False
        words = Counter(detail for kind, detail in self._given_up.values() if kind is FailureKind.BAD_REQUEST)
        others = len(self._given_up) - sum(words.values())
        return others + max(words.values(), default=0) >= _OF_ANY_KIND
