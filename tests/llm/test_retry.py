"""When failed calls are made again, and how the stage slows down together. Nobody sleeps: time is a number."""

from __future__ import annotations

import asyncio

import pytest

from mergeit_ops.llm.classify import CallFailedError, FailureKind
from mergeit_ops.llm.concurrency import ConcurrencyLimit
from mergeit_ops.llm.retry import RetryPolicy, call_with_retries


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
            async with limit:
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(call() for _ in range(20)))
        return most

    assert asyncio.run(scenario()) == 3


def test_a_pause_holds_back_everyone_and_halves_the_bound():
    async def scenario() -> None:
        time = Time()
        limit = ConcurrencyLimit(8, clock=time.clock, sleep=time.sleep)
        entered: list[float] = []

        async def call() -> None:
            async with limit:
                entered.append(time.now)

        limit.slow_down(30)
        limit.slow_down(10)
        assert limit.limit == 4
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


def test_a_cancelled_waiter_passes_its_turn_on():
    async def scenario() -> None:
        limit = ConcurrencyLimit(1)
        await limit.__aenter__()

        async def enter() -> None:
            async with limit:
                pass

        first, second = asyncio.ensure_future(enter()), asyncio.ensure_future(enter())
        await asyncio.sleep(0)
        await limit.__aexit__(None, None, None)
        first.cancel()
        await asyncio.wait_for(second, 1)

    asyncio.run(scenario())
