"""One token budget for all tasks of an operator, as the actor keeps it; no cluster is needed for that."""

from __future__ import annotations

import asyncio

import pytest

from mergeit_ops.distributed.budget import _BudgetKeeper

Keeper = _BudgetKeeper.__ray_metadata__.modified_class
"""What the actor runs."""


def run(scenario):
    return asyncio.run(scenario())


def test_tasks_share_the_tokens():
    async def scenario():
        keeper = Keeper(100)
        await keeper.start("t1", "h1")
        await keeper.start("t2", "h2")
        granted = [await keeper.reserve("h1", 60), await keeper.reserve("h2", 40)]
        await keeper.settle("h1", 60, 10)
        granted.append(await keeper.reserve("h2", 50))
        return granted, await keeper.overdrawn()

    granted, overdrawn = run(scenario)
    assert granted == [True, True, True]
    assert not overdrawn


def test_what_is_spent_is_not_granted_again():
    async def scenario():
        keeper = Keeper(100)
        await keeper.start("t", "h")
        assert await keeper.reserve("h", 90)
        await keeper.settle("h", 90, 90)
        return await keeper.reserve("h", 20)

    assert run(scenario) is False


@pytest.mark.parametrize(("left", "fits"), [(40, True), (41, False)])
def test_the_reserve_of_a_lost_worker_counts_as_spent(left, fits):
    async def scenario():
        keeper = Keeper(100)
        await keeper.start("t", "lost")
        await keeper.reserve("lost", 60)
        await keeper.start("t", "again")
        # Its answer comes after all: the tokens are spent already.
        await keeper.settle("lost", 60, 5)
        return await keeper.reserve("again", left)

    assert run(scenario) is fits
