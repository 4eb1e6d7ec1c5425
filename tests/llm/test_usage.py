"""Counters, the estimate of a conversation and the budget."""

from __future__ import annotations

import asyncio
import json

from mergeit_ops.llm.usage import TokenBudget, Usage, estimate_messages


def test_counters_add_up_and_are_plain_data():
    total = Usage(calls=1, failures={"echo": 1})
    other = Usage(calls=2, prompt_tokens=5, completion_tokens=6, failures={"echo": 1, "empty": 2})
    total.add(other)
    assert total.as_dict()["failures"] == {"echo": 2, "empty": 2}
    assert (total.calls, total.total_tokens) == (3, 11)
    assert other.failures == {"echo": 1, "empty": 2}
    assert json.loads(json.dumps(total.as_dict()))["calls"] == 3


def test_each_turn_of_a_conversation_counts_four_tokens_more():
    assert estimate_messages([{"role": "user", "content": "abcd"}]) == 5


def test_a_budget_never_promises_more_than_it_has():
    async def scenario() -> None:
        budget = TokenBudget(100, spent=20)
        assert await budget.reserve(50)
        assert not await budget.reserve(90)
        waiting = asyncio.ensure_future(budget.reserve(40))
        await asyncio.sleep(0)
        assert not waiting.done()
        budget.settle(50, 30)
        assert await waiting
        budget.settle(40, 40)
        assert budget.spent == 90
        assert not await budget.reserve(20)
        assert await budget.reserve(10)

    asyncio.run(scenario())


def test_no_limit_is_no_limit():
    async def scenario() -> None:
        budget = TokenBudget(None)
        assert await budget.reserve(10**12)
        budget.settle(10**12, 5)
        assert budget.spent == 5

    asyncio.run(scenario())
