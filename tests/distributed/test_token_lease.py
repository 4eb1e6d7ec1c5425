"""Tokens leased for several calls: few messages, the same hard limit, and nothing is held that others wait for."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from mergeit_ops.distributed.shared_limits import _Limits
from mergeit_ops.distributed.token_lease import TokenLease


class Process:
    """A process with a lease, which hears the news of the limits while it works."""

    def __init__(self, limits, holder):
        self.limits = limits
        self.messages = Counter()
        self.told = []
        self.flying = 0
        self.spent = 0
        self.refused = 0

        def settle(reserved, used):
            self.messages["settle"] += 1
            self.told.append(asyncio.ensure_future(limits.settle(holder, reserved, used)))

        async def lease(tokens, ahead):
            self.messages["lease"] += 1
            await asyncio.sleep(0.001)
            return await limits.reserve(holder, tokens, ahead)

        self.lease = TokenLease(lease, settle, limits.overdrawn)

        async def hear():
            while True:
                _, scarce = await limits.news(holder)
                if scarce:
                    self.lease.give_back()

        self.hearing = asyncio.ensure_future(hear())

    async def call(self, tokens, used, seconds=0.001):
        if not await self.lease.reserve(tokens):
            self.refused += 1
            return
        self.flying += tokens
        await asyncio.sleep(seconds)
        self.flying -= tokens
        self.spent += used
        self.lease.settle(tokens, used)

    async def end(self):
        self.hearing.cancel()
        self.lease.give_back()
        await asyncio.gather(*self.told)


def run(scenario):
    return asyncio.run(asyncio.wait_for(scenario(), 60))


async def workers(process, calls, number=8):
    left = iter(calls)

    async def work():
        for call in left:
            await process.call(*call)

    await asyncio.gather(*(work() for _ in range(number)))


def test_calls_within_a_large_budget_cost_few_messages_and_all_tokens_are_accounted_for():
    async def scenario():
        limits = _Limits(10_000_000, None)
        first, second = Process(limits, "h1"), Process(limits, "h2")
        await asyncio.gather(*(workers(process, [(100, 40)] * 1000) for process in (first, second)))
        assert first.messages.total() < 250
        await asyncio.gather(first.end(), second.end())
        assert limits._budget.spent == 2 * 1000 * 40
        assert limits._budget.left == 10_000_000 - 2 * 1000 * 40

    run(scenario)


@pytest.mark.parametrize("seed", range(3))
def test_the_limit_holds_at_every_moment_and_a_call_is_only_refused_when_it_does_not_fit(seed):
    async def scenario():
        draw = random.Random(seed)
        limit = 40_000
        limits = _Limits(limit, None)
        processes = [Process(limits, f"h{number}") for number in range(3)]

        async def watch():
            while True:
                assert sum(process.spent + process.flying for process in processes) <= limit
                await asyncio.sleep(0)

        watching = asyncio.ensure_future(watch())
        sizes = [[draw.randint(20, 400) for _ in range(250)] for _ in processes]
        calls = [[(size, draw.randint(0, size), draw.random() / 100) for size in part] for part in sizes]
        await asyncio.gather(*map(workers, processes, calls))
        assert not watching.done()
        watching.cancel()
        await asyncio.gather(*(process.end() for process in processes))
        spent = sum(process.spent for process in processes)
        assert limits._budget.spent == spent
        assert limits._budget.left == limit - spent
        assert all(process.refused for process in processes)
        assert spent > limit - 400

    run(scenario)


def test_a_process_gives_back_what_another_waits_for():
    async def scenario():
        limits = _Limits(1_000, None)
        rich, poor = Process(limits, "h1"), Process(limits, "h2")
        await rich.call(50, 50)
        # It holds an eighth of the other 950.
        assert limits._budget.left == 1_000 - 50 - 118
        await asyncio.wait_for(poor.call(950, 950), 2)
        assert poor.refused == 0
        assert limits._budget.left == 0

    run(scenario)


def test_the_lease_of_a_lost_process_is_spent_once():
    async def scenario():
        limits = _Limits(10_000, None)
        await limits.start("t", "lost")
        assert await limits.reserve("lost", 100, 3_200) == 100 + (10_000 - 100) // 8
        await limits.start("t", "again")
        # Its last message comes late.
        await limits.settle("lost", 1_337, 20)
        assert await limits.reserve("again", 10_000 - 1_337 + 1) == 0
        assert await limits.reserve("again", 10_000 - 1_337) == 8_663

    run(scenario)


def test_a_call_that_uses_more_than_its_lease_holds_all_others_back():
    async def scenario():
        limits = _Limits(1_000, None)
        first, second = Process(limits, "h1"), Process(limits, "h2")
        await second.call(10, 10)
        assert not await second.lease.overdrawn()
        await first.call(10, 2_000)
        await asyncio.sleep(0.01)
        assert await first.lease.overdrawn()
        assert await second.lease.overdrawn()
        await asyncio.gather(first.call(1, 1), second.call(1, 1))
        assert (first.refused, second.refused) == (1, 1)

    run(scenario)


def test_tokens_of_calls_without_an_answer_are_spent():
    async def scenario():
        limits = _Limits(1_000, None)
        process = Process(limits, "h")
        assert await process.lease.reserve(100)
        process.lease.lose(30)
        process.lease.settle(100, 0)
        await process.end()
        assert (limits._budget.spent, limits._budget.left) == (30, 970)

    run(scenario)
