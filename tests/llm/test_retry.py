"""When failed calls are made again, and how the stage slows down together. Nobody sleeps: time is a number."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from mergeit_ops.llm.concurrency import ConcurrencyLimit
from mergeit_ops.llm.failures import CallFailedError, FailureKind
from mergeit_ops.llm.retry import RetryPolicy, call_with_retries
from tests.llm.virtual_time import VirtualLoop


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


def failure(kind: FailureKind = FailureKind.TRANSIENT, retry_after: float | None = None) -> CallFailedError:
    return CallFailedError(kind, kind.value, retry_after=retry_after)


POLICY = RetryPolicy(attempts=5, base_s=1, cap_s=6, total_s=100)


def test_backoff_doubles_up_to_its_cap_and_ends_with_the_attempts():
    delays = [POLICY.delay_s(failure(), attempt=attempt) for attempt in range(1, 6)]
    assert delays == [1, 2, 4, 6, None]


@pytest.mark.parametrize("draw", [0.0, 0.3, 1.0])
def test_jitter_is_full(draw):
    assert POLICY.delay_s(failure(), attempt=3, draw=draw) == pytest.approx(4 * draw)


def test_retry_after_is_a_lower_bound():
    for draw in (0.0, 0.5, 1.0):
        delay = POLICY.delay_s(failure(retry_after=20.0), attempt=1, draw=draw)
        assert 20.0 <= delay <= 21.0


def test_no_wait_ends_after_the_total():
    assert POLICY.delay_s(failure(), attempt=1, elapsed_s=99) == 1
    assert POLICY.delay_s(failure(), attempt=1, elapsed_s=99.5) is None
    assert POLICY.delay_s(failure(retry_after=3600), attempt=1) is None


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if not kind.retryable])
def test_what_cannot_get_better_is_not_tried_again(kind):
    assert POLICY.delay_s(failure(kind), attempt=1) is None


def test_first_contact_is_given_up_quickly():
    unreachable = failure(FailureKind.UNREACHABLE)
    first = [RetryPolicy().delay_s(unreachable, attempt=attempt, proven=False) for attempt in (1, 2, 3)]
    assert first == [0.5, 0.5, None]
    assert RetryPolicy().delay_s(unreachable, attempt=3, proven=True) is not None
    silent = [RetryPolicy().delay_s(failure(), attempt=attempt, proven=False) for attempt in (1, 2)]
    assert silent == [0.5, None]


@pytest.mark.parametrize("asks", [failure(retry_after=5.0), failure(FailureKind.RATE_LIMITED)])
def test_a_server_that_says_when_to_come_back_is_given_the_time_at_first_contact_too(asks):
    assert RetryPolicy().delay_s(asks, attempt=3, proven=False) is not None


def run_script(script: list[object], policy: RetryPolicy = POLICY) -> tuple[object, Time, list[float]]:
    time, noted = Time(), []
    steps = iter(script)

    async def call() -> object:
        step = next(steps)
        if isinstance(step, BaseException):
            raise step
        return step

    result = asyncio.run(
        call_with_retries(
            call,
            policy=policy,
            on_retry=lambda _, delay: noted.append(delay),
            sleep=time.sleep,
            clock=time.clock,
            draw=lambda: 1.0,
        )
    )
    return result, time, noted


def test_the_loop_waits_as_the_policy_says_and_returns_the_first_success():
    result, time, noted = run_script([failure(), failure(retry_after=9.0), "good"])
    assert result == "good"
    assert time.slept == noted == [1.0, 10.0]


def test_the_last_error_gets_through():
    last = failure()
    with pytest.raises(CallFailedError) as caught:
        run_script([failure(), failure(), failure(), failure(), last, "never"])
    assert caught.value is last


def test_other_exceptions_are_not_retried():
    with pytest.raises(KeyError):
        run_script([KeyError("x"), "never"])


def test_the_limit_bounds_calls_in_flight():
    async def scenario() -> int:
        limit, inside, most = ConcurrencyLimit(3), 0, 0

        async def call() -> None:
            nonlocal inside, most
            async with limit.place(limit.ticket()):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(call() for _ in range(20)))
        return most

    assert asyncio.run(scenario()) == 3


def test_a_pause_holds_back_everyone_and_each_refusal_takes_a_place():
    async def scenario() -> None:
        time = Time()
        limit = ConcurrencyLimit(8, clock=time.clock, sleep=time.sleep)
        entered: list[float] = []

        async def call() -> None:
            async with limit.place(limit.ticket()):
                entered.append(time.now)

        limit.slow_down(30)
        limit.slow_down(10)
        assert limit.limit == 6
        await asyncio.gather(*(call() for _ in range(6)))
        assert entered
        assert min(entered) >= 30
        for _ in range(40):
            limit.speed_up()
        assert limit.limit == 8
        time.now = 100.0
        for _ in range(10):
            limit.slow_down(1)
            time.now += 2
        assert limit.limit == 1

    asyncio.run(scenario())


def test_refusals_of_one_pause_take_at_most_half_of_the_places():
    time = Time()
    limit = ConcurrencyLimit(64, clock=time.clock, sleep=time.sleep)
    for _ in range(60):
        limit.slow_down(1)
    assert limit.limit == 32
    time.now = 1.0
    for _ in range(60):
        limit.slow_down(1)
    assert limit.limit == 16


@pytest.mark.parametrize(("refused", "spread_s"), [(1, 0.05), (8, 0.5)])
def test_the_more_were_refused_the_less_at_once_calls_start_again(refused, spread_s):
    loop = VirtualLoop()

    async def scenario() -> list[float]:
        limit = ConcurrencyLimit(16, clock=loop.time)
        started: list[float] = []

        async def call() -> None:
            async with limit.place(limit.ticket()):
                started.append(loop.time())

        for _ in range(refused):
            limit.slow_down(3)
        await asyncio.gather(*(call() for _ in range(limit.limit)))
        return started

    started = loop.run_until_complete(scenario())
    loop.close()
    assert min(started) == 3
    assert spread_s / 2 < max(started) - min(started) <= spread_s


def served(refuses: Callable[[float], bool], calls: int) -> tuple[float, float]:
    """Run a stage's calls, 64 at once and half a second each, at a server that refuses some of them.

    :param refuses: tells at a time whether the server refuses a call.
    :param calls: how many must be answered.
    :return: answers per second, and the share of requests that were refused.
    """
    loop = VirtualLoop()
    sent = refused = 0

    async def scenario() -> None:
        nonlocal sent, refused
        limit = ConcurrencyLimit(64, clock=loop.time)
        left = iter(range(calls))

        async def attempt() -> None:
            nonlocal sent, refused
            async with limit.place(limit.ticket()):
                sent += 1
                if refuses(loop.time()):
                    refused += 1
                    raise failure(FailureKind.RATE_LIMITED, retry_after=1.0)
                await asyncio.sleep(0.5)

        async def worker() -> None:
            for _ in left:
                await call_with_retries(
                    attempt,
                    policy=RetryPolicy(attempts=50),
                    on_retry=lambda error, _: limit.slow_down(error.retry_after or 0.0),
                    clock=loop.time,
                    draw=lambda: 0.5,
                )
                limit.speed_up()

        await asyncio.gather(*(worker() for _ in range(128)))

    loop.run_until_complete(scenario())
    loop.close()
    return calls / loop.now, refused / sent


def test_refusals_at_random_cost_little_more_than_the_pauses():
    draws = random.Random(1)
    rate, _ = served(lambda now: draws.random() < 0.02, 2000)
    # A pause of a second after each half second leaves 43 of 128.
    assert rate > 30


def test_at_a_server_with_a_fixed_rate_most_of_it_is_used_and_little_refused():
    credit, before = 100.0, 0.0

    def refuses(now: float) -> bool:
        nonlocal credit, before
        credit, before = min(100.0, credit + 100 * (now - before)), now
        if credit < 1:
            return True
        credit -= 1
        return False

    rate, refused = served(refuses, 4000)
    assert rate > 85
    assert refused < 0.05


def test_a_cancelled_waiter_passes_its_turn_on():
    async def scenario() -> None:
        limit = ConcurrencyLimit(1)

        async def enter() -> None:
            async with limit.place(limit.ticket()):
                pass

        async with limit.place(limit.ticket()):
            first, second = asyncio.ensure_future(enter()), asyncio.ensure_future(enter())
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait_for(second, 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("places", [1, 4])
def test_a_refused_call_goes_before_those_that_came_later(places):
    loop = VirtualLoop()
    started: list[int] = []

    async def scenario() -> None:
        limit = ConcurrencyLimit(places, clock=loop.time)
        early, late = limit.ticket(), [limit.ticket() for _ in range(3)]

        async def call(ticket: int, after_s: float) -> None:
            await asyncio.sleep(after_s)
            async with limit.place(ticket):
                started.append(ticket)
                await asyncio.sleep(1)

        limit.slow_down(3, early)
        # Its own wait ends with the pause, when the others have long been waiting for it.
        await asyncio.gather(*(call(ticket, 0) for ticket in reversed(late)), call(early, 3))

    loop.run_until_complete(scenario())
    loop.close()
    assert started == sorted(started)


def test_a_call_that_is_refused_again_and_again_does_not_hold_up_the_others():
    loop = VirtualLoop()
    started: list[int] = []

    async def scenario() -> None:
        limit = ConcurrencyLimit(1, clock=loop.time)
        refused = [limit.ticket(), limit.ticket()]

        async def call(ticket: int) -> None:
            async with limit.place(ticket):
                started.append(ticket)
                await asyncio.sleep(1)

        limit.slow_down(3, refused[1])
        for _ in range(3):
            limit.slow_down(3, refused[0])
        await asyncio.gather(*(call(ticket) for ticket in (*refused, *(limit.ticket() for _ in range(3)))))

    loop.run_until_complete(scenario())
    loop.close()
    # One that has not been refused, and then by order.
    assert started == [2, 0, 1, 3, 4]


@pytest.mark.parametrize("absence", [FailureKind.LOADING, FailureKind.UNREACHABLE])
def test_waiting_for_a_server_to_be_there_uses_up_no_attempt_to_be_answered(absence):
    time = Time()
    ends = [*[failure(absence)] * 20, *[failure()] * (POLICY.attempts - 1)]

    async def call() -> str:
        if ends:
            raise ends.pop(0)
        return "answer"

    policy = RetryPolicy(attempts=POLICY.attempts, base_s=1, cap_s=1, total_s=100)
    made = call_with_retries(call, policy=policy, sleep=time.sleep, clock=time.clock, draw=lambda: 0.5)
    assert asyncio.run(made) == "answer"
    assert not ends


def test_a_server_that_loads_says_when_to_come_back():
    loading = failure(FailureKind.LOADING, retry_after=30.0)
    assert POLICY.delay_s(loading, attempt=50) == 30.0
    assert POLICY.delay_s(failure(FailureKind.LOADING, retry_after=3600.0), attempt=1) is None
