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
        self._waiting: set[str] = set()
        self._since_s: float | None = None
        self.answers = 0

    def begin(self) -> None:
        """Hear that a run starts: nothing waits, and no time has passed for it."""
        self._waiting.clear()
        self._since_s = None

    def answered(self) -> None:
        """Hear that the server has answered a request."""
        self.answers += 1
        self._given_up.clear()
        self._since_s = None

    def add(self, other: Refusals) -> None:
        """Take over what others have heard, who asked the same server later or at the same time.

        The answers that they had are not counted here: they end what came before, and say nothing of what comes.

        :param other: stays as it is.
        """
        if other.answers:
            self._given_up.clear()
        self._given_up.update(other._given_up)

    def rate_limited(self, request: str, now_s: float) -> None:
        """Hear that a call was refused for its rate, and may be made again.

        :param request: names the request.
        :param now_s: monotonic seconds.
        """
        self._waiting.add(request)
        if self._since_s is None:
            self._since_s = now_s

    def through(self, request: str) -> None:
        """Hear that a request no longer waits.

        :param request: names the request.
        """
        self._waiting.discard(request)

    def several(self) -> int:
        """Return how many requests the server has refused, three or more, that wait or were given up; else 0."""
        count = len(self._waiting | self._given_up.keys())
        return count if count >= _OF_ACCOUNT else 0

    def stalled_s(self, now_s: float) -> float:
        """Return for how long the server has refused the rate of requests without an answer between.

        :param now_s: monotonic seconds.
        """
        return 0.0 if self._since_s is None else now_s - self._since_s

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
