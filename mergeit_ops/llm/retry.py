"""When to retry a failed call: the policy as plain code, and the only retry loop."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from mergeit_ops.llm.failures import CallFailedError, FailureKind

__all__ = ["RetryPolicy", "call_with_retries"]

T = TypeVar("T")

_NOT_THERE = (FailureKind.UNREACHABLE, FailureKind.LOADING)
_PATIENCE_CAPS = 2.5
_RATE_JITTER = 0.2
_SOON_ATTEMPTS = 2


@dataclass(frozen=True)
class RetryPolicy:
    """Limits for the retries of one call. All times are in seconds.

    :param attempts: most calls, at least 1. If the server is gone, only `total_s` limits the calls. If it refuses
        several requests in a row for their rate, only `patience_s` without an answer does.
    :param base_s: upper bound of the first wait; it doubles with every attempt.
    :param cap_s: upper bound of any wait that the server did not ask for.
    :param total_s: from the first attempt on, no wait may end later than this.
    :param first_contact_attempts: most calls while nobody listens and no call has succeeded yet.
    :param first_answer_attempts: most calls while a server listens but no call has succeeded yet.
    :param first_contact_s: wait between these calls.
    :param loading_s: wait while a server reports that it loads its model; limited only by `total_s`.
    :param refusal_s: time during which the first call of a run is alone. If the server refuses a wrong key within this
        time, only one call is made; otherwise as many as may be in flight.
    :param answers_under_way_s: time that a stopping run waits for answers in flight, which are paid for.
    """

    attempts: int = 6
    base_s: float = 1.0
    cap_s: float = 30.0
    total_s: float = 600.0
    first_contact_attempts: int = 3
    first_answer_attempts: int = 2
    first_contact_s: float = 0.5
    loading_s: float = 2.0
    refusal_s: float = 0.05
    answers_under_way_s: float = 30.0

    @property
    def patience_s(self) -> float:
        """How long a server may refuse all requests for their rate; longer than a quota per minute lasts."""
        return _PATIENCE_CAPS * self.cap_s

    def delay_s(
        self,
        failure: CallFailedError,
        *,
        attempt: int,
        elapsed_s: float = 0.0,
        proven: bool = True,
        stalled_s: float | None = None,
        draw: float = 1.0,
    ) -> float | None:
        """Return how long to wait before the next attempt.

        :param failure: the error of the last attempt.
        :param attempt: attempts so far, from 1, with the same kind of error. Calls to a server that does not listen or
            is not ready yet are counted separately.
        :param elapsed_s: seconds since the first attempt.
        :param proven: whether any call of the run has succeeded.
        :param stalled_s: seconds since the server began to refuse several requests in a row for their rate, without an
            answer; None if it refuses only this one.
        :param draw: random number in [0, 1]: full jitter takes this share of the upper bound.
        :return: seconds to wait; None to give up.
        """
        if not failure.kind.retryable:
            return None
        if failure.kind is FailureKind.LOADING:
            delay = max(self.loading_s, failure.retry_after or 0.0)
            return delay if elapsed_s + delay <= self.total_s else None
        if not proven and failure.retry_after is None and failure.kind is not FailureKind.RATE_LIMITED:
            nobody = failure.kind is FailureKind.UNREACHABLE
            attempts = self.first_contact_attempts if nobody else self.first_answer_attempts
            return self.first_contact_s if attempt < attempts else None
        if failure.kind is FailureKind.RATE_LIMITED:
            return self._delay_of_rate_s(failure, attempt, elapsed_s, stalled_s, draw)
        # A server that has answered before and is gone is probably restarting. Asking costs nothing while nobody
        # listens.
        if attempt >= self.attempts and failure.kind is not FailureKind.UNREACHABLE:
            return None
        delay = draw * min(self.cap_s, self.base_s * 2.0 ** min(attempt - 1, 30))
        if failure.retry_after is not None:
            # The jitter is added, so that calls are never too early and do not all come at the same moment.
            delay = failure.retry_after + draw * self.base_s
        return delay if elapsed_s + delay <= self.total_s else None

    def _delay_of_rate_s(
        self, failure: CallFailedError, attempt: int, elapsed_s: float, stalled_s: float | None, draw: float
    ) -> float | None:
        """Return how long to wait if requests come too fast.

        Quotas are often per minute, so the attempts of one call are spread over more than a minute.
        """
        over = attempt >= self.attempts if stalled_s is None else stalled_s >= self.patience_s
        if over:
            return None
        jitter = 1.0 - _RATE_JITTER * (1.0 - draw)
        delay = jitter * min(self.cap_s, self.base_s * 4.0 ** min(attempt - 1, 15))
        if stalled_s is not None:
            # The last attempt is at the end of the patience, not after it.
            delay = min(delay, self.patience_s - stalled_s + draw * self.base_s)
        if failure.retry_after is not None:
            asked = failure.retry_after + draw * self.base_s
            # A server that repeatedly says "soon" does not know the right time.
            delay = asked if attempt <= _SOON_ATTEMPTS else max(asked, delay)
        # While others are answered, a request waits for its turn.
        waited_s = elapsed_s if stalled_s is None else 0.0
        return delay if waited_s + delay <= self.total_s else None


async def call_with_retries(
    call: Callable[[], Awaitable[T]],
    *,
    policy: RetryPolicy,
    proven: Callable[[], bool] = lambda: True,
    stalled_s: Callable[[], float | None] = lambda: None,
    on_failure: Callable[[CallFailedError], None] = lambda failure: None,
    on_retry: Callable[[CallFailedError, float], None] = lambda failure, delay: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
    draw: Callable[[], float] = random.random,
) -> T:
    """Make a call and retry it according to the policy.

    :param call: function that makes one attempt.
    :param policy: limits of the retries.
    :param proven: function that returns whether any call of the run has succeeded.
    :param stalled_s: function that returns how long the server has refused several requests for their rate; see
        `RetryPolicy`.
    :param on_failure: function that gets every failure before the decision about a retry.
    :param on_retry: function that gets every failure that is retried, and the seconds until the retry.
    :param sleep: function that waits some seconds.
    :param clock: monotonic seconds.
    :param draw: random numbers in [0, 1).
    :return: the result of the first successful attempt.
    :raises CallFailedError: the last error, if the policy gives up. Other exceptions are not retried.
    """
    start = clock()
    ends: Counter[FailureKind | None] = Counter()
    while True:
        try:
            return await call()
        except CallFailedError as error:
            failure = error
        # Outside the handler, so that later exceptions do not show this failure as their cause.
        end = failure.kind if failure.kind in _NOT_THERE else None
        ends[end] += 1
        on_failure(failure)
        delay = policy.delay_s(
            failure,
            attempt=ends[end],
            elapsed_s=clock() - start,
            proven=proven(),
            stalled_s=stalled_s(),
            draw=draw(),
        )
        if delay is None:
            raise failure
        on_retry(failure, delay)
        await sleep(delay)
